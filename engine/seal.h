/* SPDX-License-Identifier: MIT */
/* Secrets that must be kept to be put back later: sealed with a key that lies beside the journal.
 */
#ifndef PLAN_SEAL_H
#define PLAN_SEAL_H

#include "engine/base/json.h"

struct seal_key {
	unsigned char bytes[32];
	bool present;
};

/* Reads the key (32 bytes, 0600), or makes it when `make` is set. */
bool seal_load(struct seal_key *key, const char *path, bool make, struct error *err);

/* A sealer for json_write() and json_read(); it lives as long as the key. */
struct sealer seal_with(struct seal_key *key);

#endif
