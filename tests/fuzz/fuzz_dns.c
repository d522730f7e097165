/* SPDX-License-Identifier: MIT */
/* What a name server answers, any bytes: it is refused with a reason, or it gives records as
 * steps/dns/zone.h has them. The answers stand one behind the other, each with its length before
 * it, as they come over TCP: three to a question about a name, then one to an update. */
#include "engine/base/error.h"
#include "steps/dns/provider.h"
#include "steps/dns/server.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The linker puts these in the place of what would ask a server. */
ldns_status __wrap_ldns_resolver_query_status(ldns_pkt **answer, ldns_resolver *resolver,
                                              const ldns_rdf *name, ldns_rr_type type,
                                              ldns_rr_class class, uint16_t flags);
ldns_status __wrap_ldns_resolver_send_pkt(ldns_pkt **answer, ldns_resolver *resolver,
                                          ldns_pkt *query);

static const uint8_t *next, *end; /* answers not given yet */
static bool all_sound;            /* those given so far */

/* An answer of authority, whole, to the question. */
static bool is_sound(const uint8_t *packet, size_t length, ldns_rr_type type)
{
	static const uint8_t name[] = "\3www\7example\3com";
	size_t at = 12;

	if (length < at + sizeof name + 4 || (packet[2] & 0x86) != 0x84 ||
	    ((packet[3] & 15) != LDNS_RCODE_NOERROR && (packet[3] & 15) != LDNS_RCODE_NXDOMAIN))
		return false;
	for (size_t i = 0; i < sizeof name; i++, at++) {
		if ((packet[at] & 0xc0) == 0xc0)
			return true; /* compressed, which ldns may make out */
		if (tolower(packet[at]) != name[i])
			return false;
	}
	return (packet[at] << 8 | packet[at + 1]) == (int)type;
}

static ldns_status give_answer(ldns_pkt **answer, ldns_rr_type type)
{
	size_t length = end - next < 2 ? 0 : (size_t)(next[0] << 8 | next[1]);

	*answer = NULL;
	if (end - next < 2 || (size_t)(end - next) - 2 < length)
		return LDNS_STATUS_NETWORK_ERR;
	next += 2 + length;
	all_sound = all_sound && is_sound(next - length, length, type);
	/* A block of its own size, so that a read beyond the end is seen. */
	uint8_t *copy = malloc(length + 1);
	if (!copy)
		abort();
	memcpy(copy, next - length, length);
	ldns_status status = ldns_wire2pkt(answer, copy, length);
	free(copy);
	return status;
}

ldns_status __wrap_ldns_resolver_query_status(ldns_pkt **answer, ldns_resolver *resolver,
                                              const ldns_rdf *name, ldns_rr_type type,
                                              ldns_rr_class class, uint16_t flags)
{
	(void)resolver, (void)name, (void)class, (void)flags;
	return give_answer(answer, type);
}

ldns_status __wrap_ldns_resolver_send_pkt(ldns_pkt **answer, ldns_resolver *resolver,
                                          ldns_pkt *query)
{
	(void)resolver, (void)query;
	return give_answer(answer, LDNS_RR_TYPE_SOA);
}

/* ---- What records must be ---- */

static bool is_address(int family, const char *text)
{
	unsigned char address[16];
	char shortest[INET6_ADDRSTRLEN];

	return inet_pton(family, text, address) == 1 &&
	       inet_ntop(family, address, shortest, sizeof shortest) && strcmp(text, shortest) == 0;
}

static bool is_name(const char *text)
{
	size_t length = strlen(text);

	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c) || isupper((unsigned char)*c))
			return false;
	return length > 0 && (length == 1 || text[length - 1] != '.' || text[length - 2] == '\\');
}

static void check_records(const struct value *records)
{
	for (const struct value *set = records->as.items.first; set; set = set->next) {
		const struct value *values = value_get(set, "values");
		int64_t ttl_s = value_get_number(set, "ttl_s", -1);
		const char *before = "";
		if (!values || !values->as.items.count || ttl_s < 0 || ttl_s > UINT32_MAX)
			abort();
		for (const struct value *one = values->as.items.first; one; one = one->next) {
			const char *text = one->as.text;
			bool good = strcmp(set->key, "A") == 0       ? is_address(AF_INET, text)
			            : strcmp(set->key, "AAAA") == 0  ? is_address(AF_INET6, text)
			            : strcmp(set->key, "CNAME") == 0 ? is_name(text)
			                                             : false;
			if (!good || strcmp(before, text) > 0)
				abort();
			before = text;
		}
	}
}

/* ---- What is asked ---- */

static void ask(struct arena *arena)
{
	struct error err = {0};
	struct value *records;

	all_sound = true;
	bool answered = server_ask(arena, "127.0.0.1", "www.example.com", &records, &err);
	if (answered)
		check_records(records);
	if (answered ? !all_sound : err.kind != ERROR_RETRY)
		abort(); /* a server that answers nonsense is waited for */
	if (!zone_describe(arena, records)[0])
		abort();
}

static void update(struct arena *arena)
{
	struct error err = {0};
	struct step step = {.arena = arena};
	struct value *with = value_map(arena);
	struct zone zone = {.step = &step, .name = "example.com", .with = with};
	const struct value *old = zone_records(arena, "A", 3600, "192.0.2.1");
	const struct value *new = zone_records(arena, "CNAME", 60, "target.example.net");

	value_set_text(arena, with, "server", "127.0.0.1");
	value_set_text(arena, with, "key", "hmac-sha256:fuzz:c2VjcmV0IG9mIGEgZnV6emVyIG9mIHBsYW4=");
	if (!rfc2136_provider.replace(&zone, "www.example.com", old, new, &err) &&
	    err.kind == ERROR_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};

	next = data;
	end = data + size;
	ask(&arena);
	if (next < end)
		update(&arena);
	arena_free(&arena);
	return 0;
}
