/* SPDX-License-Identifier: MIT */
/* SNI endpoints: certificates with their chains, checked against their keys as a server would. */
#include "engine/base/arena.h"
#include "engine/base/clock.h"
#include "steps/heroku/simulator/world.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { CHAIN_MOST = 10 };

/* None is ever asked for at a terminal. */
#define NO_PASSPHRASE ((void *)(uintptr_t) "")

struct chain {
	X509 *certificates[CHAIN_MOST]; /* the site's own first */
	size_t count;
};

static void forget(struct chain *chain)
{
	for (size_t i = 0; i < chain->count; i++)
		X509_free(chain->certificates[i]);
}

static void read_chain(const char *pem, struct chain *chain)
{
	BIO *source = BIO_new_mem_buf(pem, -1);
	X509 *one = NULL;

	while (chain->count < CHAIN_MOST &&
	       (one = PEM_read_bio_X509(source, NULL, NULL, NO_PASSPHRASE)))
		chain->certificates[chain->count++] = one;
	BIO_free(source);
}

static bool key_fits(X509 *certificate, const char *pem)
{
	BIO *source = BIO_new_mem_buf(pem, -1);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(source, NULL, NULL, NO_PASSPHRASE);
	bool good = key && X509_check_private_key(certificate, key) == 1;

	EVP_PKEY_free(key);
	BIO_free(source);
	return good;
}

/* What is wrong with them, or NULL. */
static const char *fault_of(const struct chain *chain, const char *key)
{
	if (chain->count == 0)
		return "Certificate chain is not a PEM certificate.";
	for (size_t i = 0; i + 1 < chain->count; i++)
		if (X509_check_issued(chain->certificates[i + 1], chain->certificates[i]) !=
		    X509_V_OK)
			return "Certificate chain is not in order: each must be issued by the "
			       "next.";
	if (!key_fits(chain->certificates[0], key))
		return "Private key does not belong to the certificate.";
	return NULL;
}

static json_t *time_of(const ASN1_TIME *time)
{
	struct arena arena = {0};
	struct tm parts = {0};

	ASN1_TIME_to_tm(time, &parts);
	json_t *text = json_string(clock_text(&arena, (int64_t)timegm(&parts) * 1000));
	arena_free(&arena);
	return text;
}

static json_t *name_of(const X509_NAME *name)
{
	char text[512];

	return json_string(X509_NAME_oneline(name, text, sizeof text));
}

static void add_domain(json_t *domains, const ASN1_STRING *name)
{
	json_t *item, *added = json_stringn((const char *)ASN1_STRING_get0_data(name),
	                                    (size_t)ASN1_STRING_length(name));
	size_t i;

	json_array_foreach(domains, i, item) if (added && strcasecmp(json_string_value(item),
	                                                             json_string_value(added)) == 0)
	{
		json_decref(added);
		return;
	}
	if (added)
		json_array_append_new(domains, added);
}

/* The common name and the alternative names. */
static json_t *domains_of(const X509 *certificate)
{
	json_t *domains = json_array();
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	if (at >= 0)
		add_domain(domains, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS)
			add_domain(domains, name->d.dNSName);
	}
	GENERAL_NAMES_free(names);
	return domains;
}

static json_t *describe(X509 *certificate)
{
	bool own = X509_check_issued(certificate, certificate) == X509_V_OK;

	return json_pack("{s:b, s:o, s:o, s:o, s:b, s:o, s:o, s:o}", "ca_signed?", !own,
	                 "cert_domains", domains_of(certificate), "expires_at",
	                 time_of(X509_get0_notAfter(certificate)), "issuer",
	                 name_of(X509_get_issuer_name(certificate)), "self_signed?", own,
	                 "starts_at", time_of(X509_get0_notBefore(certificate)), "subject",
	                 name_of(X509_get_subject_name(certificate)), "id", new_id());
}

/* The ssl_cert of what is asked for; NULL with 422 answered. */
static json_t *certificate_of(struct call *call)
{
	struct chain chain = {0};
	json_t *described = NULL;

	read_chain(text_of(call->body, "certificate_chain"), &chain);
	const char *fault = fault_of(&chain, text_of(call->body, "private_key"));
	if (fault)
		refuse(call, 422, "invalid_params", "%s", fault);
	else
		described = describe(chain.certificates[0]);
	forget(&chain);
	return described;
}

/* With the domains that are bound to it. */
static json_t *shown(struct world *world, const json_t *sni)
{
	json_t *copy = visible(sni), *domains = json_array(), *domain;
	size_t i;

	json_array_foreach(
		world_list(world, "domains"), i,
		domain) if (strcmp(text_of(domain, "sni_endpoint.id"), text_of(sni, "id")) == 0)
		json_array_append(domains, json_object_get(domain, "id"));
	json_object_set_new(copy, "domains", domains);
	return copy;
}

static void list(struct call *call)
{
	json_t *app = app_of(call), *all, *sni;
	size_t i;

	if (!app)
		return;
	all = json_array();
	json_array_foreach(world_list(call->world, "snis"), i, sni) if (world_is_of(sni, app))
		json_array_append_new(all, shown(call->world, sni));
	reply(call, 200, all);
}

static void add(struct call *call)
{
	json_t *app = app_of(call), *certificate = app ? certificate_of(call) : NULL;
	char made[32];

	if (!certificate)
		return;
	snprintf(made, sizeof made, "falcon-%05d", (int)(10000 + ++call->world->count));
	json_t *sni = world_add(
		call->world, "snis",
		json_pack("{s:s, s:o, s:o, s:s, s:o, s:n, s:o, s:o}", "certificate_chain",
	                  text_of(call->body, "certificate_chain"), "created_at", new_time(), "id",
	                  new_id(), "name", made, "updated_at", new_time(), "display_name", "app",
	                  reference_to(app), "ssl_cert", certificate));
	effect(call, app, "add certificate %s", made);
	reply(call, 201, shown(call->world, sni));
}

static json_t *sni_of(struct call *call)
{
	json_t *app = app_of(call);
	json_t *sni = app ? world_find_of(call->world, "snis", app, call->part[1]) : NULL;

	if (app && !sni)
		refuse(call, 404, "not_found", "Couldn't find that SNI endpoint.");
	return sni;
}

static void show(struct call *call)
{
	json_t *sni = sni_of(call);

	if (sni)
		reply(call, 200, shown(call->world, sni));
}

static void replace(struct call *call)
{
	json_t *sni = sni_of(call), *certificate = sni ? certificate_of(call) : NULL;

	if (!certificate)
		return;
	json_object_set(sni, "certificate_chain", json_object_get(call->body, "certificate_chain"));
	json_object_set_new(sni, "ssl_cert", certificate);
	json_object_set_new(sni, "updated_at", new_time());
	effect(call, json_object_get(sni, "app"), "replace certificate %s", text_of(sni, "name"));
	reply(call, 200, shown(call->world, sni));
}

static void destroy(struct call *call)
{
	json_t *sni = sni_of(call), *domain;
	size_t i;

	if (!sni)
		return;
	effect(call, json_object_get(sni, "app"), "remove certificate %s", text_of(sni, "name"));
	reply(call, 200, shown(call->world, sni));
	json_array_foreach(
		world_list(call->world, "domains"), i,
		domain) if (strcmp(text_of(domain, "sni_endpoint.id"), text_of(sni, "id")) == 0)
		json_object_set_new(domain, "sni_endpoint", json_null());
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
