/* SPDX-License-Identifier: MIT */
/* Makes certificates with libcrypto. */
#include "steps/rehearsal/certificate.h"
#include "engine/base/text.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define DAY_S 86400L

static bool add_names(X509 *certificate, const struct value *names)
{
	struct text list = {0};

	for (const struct value *one = names ? names->as.items.first : NULL; one; one = one->next)
		text_format(&list, "%sDNS:%s", list.length ? "," : "", one->as.text);
	X509_EXTENSION *extension =
		X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
	                            list.length ? text_string(&list) : "DNS:localhost");
	bool fine = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	text_free(&list);
	return fine;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const struct value *names)
{
	X509_NAME *subject = X509_get_subject_name(certificate);
	const struct value *first = names ? names->as.items.first : NULL;
	const char *common = first ? first->as.text : "localhost";

	return X509_set_version(certificate, X509_VERSION_3) == 1 &&
	       ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -DAY_S) &&
	       X509_gmtime_adj(X509_getm_notAfter(certificate), 400 * DAY_S) &&
	       X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
	                                  (const unsigned char *)common, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(certificate, subject) == 1 &&
	       X509_set_pubkey(certificate, key) == 1 && add_names(certificate, names) &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

static const char *pem(struct arena *arena, BIO *memory)
{
	char *data = NULL;
	long length = BIO_get_mem_data(memory, &data);

	return arena_text_n(arena, data, (size_t)length);
}

static bool write_pem(struct certificate *made, X509 *certificate, EVP_PKEY *key,
                      struct arena *arena)
{
	BIO *chain = BIO_new(BIO_s_mem()), *secret = BIO_new(BIO_s_mem());
	bool fine = chain && secret && PEM_write_bio_X509(chain, certificate) == 1 &&
	            PEM_write_bio_PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL) == 1;

	if (fine) {
		made->chain = pem(arena, chain);
		made->key = pem(arena, secret);
	}
	BIO_free(chain);
	BIO_free(secret);
	return fine;
}

bool certificate_make(struct certificate *made, const struct value *names, struct arena *arena,
                      struct error *err)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = X509_new();
	bool fine = key && certificate && fill(certificate, key, names) &&
	            write_pem(made, certificate, key, arena);

	X509_free(certificate);
	EVP_PKEY_free(key);
	return fine || fail(err, ERROR_FAILED, "libcrypto made no certificate");
}
