/* SPDX-License-Identifier: MIT */
/* Seals secrets with XSalsa20-Poly1305 (libsodium). */
#include "engine/seal.h"
#include "engine/base/arena.h"
#include "engine/base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool read_key(struct seal_key *key, int descriptor, const char *path, struct error *err)
{
	struct stat status;

	if (fstat(descriptor, &status) < 0 || status.st_uid != geteuid() || status.st_mode & 077)
		return fail(err, ERROR_REFUSED,
		            "key file %s is not private; `chmod 600` it, and see who could read it",
		            path);
	if (read(descriptor, key->bytes, sizeof key->bytes) != (ssize_t)sizeof key->bytes)
		return fail(err, ERROR_REFUSED, "key file %s is damaged; restore it from a backup",
		            path);
	return key->present = true;
}

/* The file appears whole or not at all: written under a name of its own, then linked. */
static bool make_key(struct seal_key *key, const char *path, struct error *err)
{
	struct arena arena = {0};
	char *whole = arena_printf(&arena, "%s.XXXXXX", path);
	int descriptor = mkostemp(whole, O_CLOEXEC);

	randombytes_buf(key->bytes, sizeof key->bytes);
	bool made =
		descriptor >= 0 &&
		write(descriptor, key->bytes, sizeof key->bytes) == (ssize_t)sizeof key->bytes &&
		fsync(descriptor) == 0 && link(whole, path) == 0;
	int reason = errno;
	if (descriptor >= 0) {
		close(descriptor);
		unlink(whole);
	}
	arena_free(&arena);
	key->present = made;
	errno = reason;
	return made || fail(err, ERROR_FAILED, "make key file %s: %s", path, strerror(reason));
}

bool seal_load(struct seal_key *key, const char *path, bool make, struct error *err)
{
	if (sodium_init() < 0)
		return fail(err, ERROR_FAILED, "no source of random numbers");
	int descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (descriptor < 0 && errno == ENOENT) {
		if (!make || make_key(key, path, err))
			return true;
		if (errno != EEXIST)
			return false;
		/* Another process was first. */
		err->kind = ERROR_NONE;
		descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	}
	if (descriptor < 0)
		return fail(err, ERROR_REFUSED, "open key file %s: %s", path, strerror(errno));
	bool fine = read_key(key, descriptor, path, err);
	close(descriptor);
	return fine;
}

static const char *seal(void *context, struct arena *arena, const char *secret)
{
	const struct seal_key *key = context;
	size_t length = strlen(secret);
	size_t boxed = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + length;
	unsigned char *box = arena_alloc(arena, boxed);
	char *text = arena_alloc(arena, 2 * boxed + 1);

	if (!key->present)
		return "";
	randombytes_buf(box, crypto_secretbox_NONCEBYTES);
	crypto_secretbox_easy(box + crypto_secretbox_NONCEBYTES, (const unsigned char *)secret,
	                      length, box, key->bytes);
	return sodium_bin2hex(text, 2 * boxed + 1, box, boxed);
}

static const char *open_sealed(void *context, struct arena *arena, const char *sealed)
{
	const struct seal_key *key = context;
	const size_t overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;
	size_t room = strlen(sealed) / 2 + 1, boxed;
	unsigned char *box = arena_alloc(arena, room);

	if (!key->present ||
	    sodium_hex2bin(box, room, sealed, strlen(sealed), NULL, &boxed, NULL) < 0 ||
	    boxed < overhead)
		return NULL;
	char *secret = arena_alloc(arena, boxed - overhead + 1);
	if (crypto_secretbox_open_easy((unsigned char *)secret, box + crypto_secretbox_NONCEBYTES,
	                               boxed - crypto_secretbox_NONCEBYTES, box, key->bytes) < 0)
		return NULL;
	return secret;
}

struct sealer seal_with(struct seal_key *key)
{
	return (struct sealer){.seal = seal, .open = open_sealed, .context = key};
}
