/* SPDX-License-Identifier: MIT */
/* Certificates (SNI endpoints): read as Heroku reads them, so that a domain finds the one that
 * covers it. */
#include "steps/heroku/simulator/world.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

/* No passphrase is ever asked for at a terminal. */
static int no_passphrase(char *buffer, int size, int writes, void *context)
{
	(void)buffer;
	(void)size;
	(void)writes;
	(void)context;
	return 0;
}

/* The host names of the first certificate of the chain; NULL when it and the key are no pair. */
static json_t *names_of(const char *chain, const char *key)
{
	BIO *chain_text = BIO_new_mem_buf(chain, -1), *key_text = BIO_new_mem_buf(key, -1);
	X509 *certificate = PEM_read_bio_X509(chain_text, NULL, no_passphrase, NULL);
	EVP_PKEY *private_key = PEM_read_bio_PrivateKey(key_text, NULL, no_passphrase, NULL);
	bool pair =
		certificate && private_key && X509_check_private_key(certificate, private_key) == 1;
	GENERAL_NAMES *names =
		pair ? X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL) : NULL;
	json_t *list = pair ? json_array() : NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			json_array_append_new(
				list,
				json_stringn((const char *)ASN1_STRING_get0_data(name->d.dNSName),
			                     (size_t)ASN1_STRING_length(name->d.dNSName)));
	}
	GENERAL_NAMES_free(names);
	EVP_PKEY_free(private_key);
	X509_free(certificate);
	BIO_free(key_text);
	BIO_free(chain_text);
	return list;
}

/* NULL with the refusal answered. */
static json_t *names_asked_for(struct call *call)
{
	json_t *names = names_of(text_of(call->body, "certificate_chain"),
	                         text_of(call->body, "private_key"));

	if (!names)
		refuse(call, 422, "invalid_params",
		       "The certificate or the key cannot be read, or they are no pair.");
	return names;
}

static void list(struct call *call)
{
	json_t *app = app_of(call);

	if (app)
		reply_list(call, "snis", app);
}

static void add(struct call *call)
{
	json_t *app = app_of(call), *names = app ? names_asked_for(call) : NULL;
	char made[32];

	if (!names)
		return;
	snprintf(made, sizeof made, "falcon-%05d", (int)(10000 + ++call->world->count));
	json_t *sni = world_add(
		call->world, "snis",
		json_pack("{s:s, s:o, s:o, s:s, s:o, s:n, s:[], s:o, s:{s:b, s:o, s:o, s:s, s:b, "
	                  "s:o, s:s, s:o}}",
	                  "certificate_chain", text_of(call->body, "certificate_chain"),
	                  "created_at", new_time(), "id", new_id(), "name", made, "updated_at",
	                  new_time(), "display_name", "domains", "app", reference_to(app),
	                  "ssl_cert", "ca_signed?", 0, "cert_domains", names, "expires_at",
	                  new_time(), "issuer", "unknown", "self_signed?", 1, "starts_at",
	                  new_time(), "subject", "unknown", "id", new_id()));
	effect(call, app, "add certificate %s", made);
	reply(call, 201, visible(sni));
}

static json_t *certificate_of(struct call *call)
{
	json_t *app = app_of(call);
	json_t *sni = app ? world_find_of(call->world, "snis", app, call->part[1]) : NULL;

	if (app && !sni)
		refuse(call, 404, "not_found", "Couldn't find that SNI endpoint.");
	return sni;
}

static void show(struct call *call)
{
	json_t *sni = certificate_of(call);

	if (sni)
		reply(call, 200, visible(sni));
}

static void replace(struct call *call)
{
	json_t *sni = certificate_of(call), *names = sni ? names_asked_for(call) : NULL;

	if (!names)
		return;
	json_object_set_new(sni, "certificate_chain",
	                    json_string(text_of(call->body, "certificate_chain")));
	json_object_set_new(json_object_get(sni, "ssl_cert"), "cert_domains", names);
	effect(call, json_object_get(sni, "app"), "replace certificate %s", text_of(sni, "name"));
	reply(call, 200, visible(sni));
}

static void destroy(struct call *call)
{
	json_t *sni = certificate_of(call);

	if (!sni)
		return;
	effect(call, json_object_get(sni, "app"), "remove certificate %s", text_of(sni, "name"));
	reply(call, 200, visible(sni));
	world_remove(call->world, "snis", sni);
}

const struct route certificate_routes[] = {
	{"GET", "/apps/?/sni-endpoints", list},
	{"POST", "/apps/?/sni-endpoints", add},
	{"GET", "/apps/?/sni-endpoints/?", show},
	{"PATCH", "/apps/?/sni-endpoints/?", replace},
	{"DELETE", "/apps/?/sni-endpoints/?", destroy},
	{0},
};
