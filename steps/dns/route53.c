/* SPDX-License-Identifier: MIT */
/* Amazon Route 53. A batch that deletes the old records and creates the new ones is taken whole or
 * not at all, and not when the old ones are others: compare-and-set. */
#include "engine/base/text.h"
#include "steps/dns/provider.h"
#include "steps/http/api.h"
#include "steps/http/xml.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_URL "https://route53.amazonaws.com"
#define VERSION "/2013-04-01"
#define NAMESPACE "https://route53.amazonaws.com/doc/2013-04-01/"
#define PAGES_MAX 100
#define SETTLE_MS 2000 /* a change takes about half a minute */

static const struct field fields[] = {
	{"zone", FIELD_DOMAIN, FIELD_REQUIRED, NULL, NULL, "The zone."},
	{"access_key_id", FIELD_STRING, FIELD_REQUIRED | FIELD_MAY_SECRET, NULL, NULL,
         "The identifier of an access key that may read the zone and change its records."},
	{"secret_access_key", FIELD_SECRET, FIELD_REQUIRED, NULL, NULL, "Its secret."},
	{"session_token", FIELD_SECRET, 0, NULL, NULL, "The token of temporary credentials."},
	{"zone_id", FIELD_STRING, 0, NULL, NULL,
         "The hosted zone's identifier; found by its name when not given."},
	{"region", FIELD_STRING, 0, "us-east-1", NULL, "The region that requests are signed for."},
	{"url", FIELD_URL, 0, DEFAULT_URL, NULL, "Where the API is."},
	{"servers", FIELD_STRING, FIELD_LIST, NULL, NULL,
         "The authoritative servers: HOST or HOST:PORT; those of the zone's delegation set when "
         "not given."},
	{"ca_file", FIELD_STRING, 0, NULL, NULL,
         "Certificates to trust instead of those of the system."},
	DNS_RESOLVER_FIELD,
	{0},
};

const struct connection_kind dns_route53 = {
	.name = "dns.route53",
	.text = "A public hosted zone at Amazon Route 53. A change names the old records and fails "
		"when they are others. Aliases and sets with a routing policy are refused.",
	.fields = fields,
};

/* ---- Errors ---- */

static bool is_one_of(const char *const *list, const char *word)
{
	for (; *list; list++)
		if (strcmp(*list, word) == 0)
			return true;
	return false;
}

/* The old records were not there, or others are: somebody else was faster. */
static bool says_other_records(const char *message)
{
	return strstr(message, "Tried to delete") || strstr(message, "it already exists") ||
	       strstr(message, "do not match");
}

/* It says <ErrorResponse><Error><Code/><Message/>, or <InvalidChangeBatch><Messages><Message/>. */
static void explain(const struct api *api, const struct http_response *response,
                    struct api_refusal *refusal)
{
	static const char *const passing[] = {"Throttling", "ThrottlingException",
	                                      "PriorRequestNotComplete", "ServiceUnavailable",
	                                      NULL};
	static const char *const credentials[] = {"InvalidClientTokenId", "SignatureDoesNotMatch",
	                                          "ExpiredToken",         "AccessDenied",
	                                          "RequestExpired",       NULL};
	struct error ignored;
	const struct value *body = xml_read(api->arena, response->body, response->length, &ignored);
	const struct value *error = value_find(body, "ErrorResponse.Error");
	const struct value *batch = value_find(body, "InvalidChangeBatch.Messages");

	refusal->id = batch ? "InvalidChangeBatch" : value_get_text(error, "Code", "");
	refusal->message = value_get_text(batch ? batch : error, "Message", "");
	if (is_one_of(passing, refusal->id))
		refusal->kind = ERROR_RETRY;
	if (is_one_of(credentials, refusal->id))
		refusal->kind = ERROR_REFUSED;
	if (strcmp(refusal->id, "InvalidChangeBatch") == 0 && says_other_records(refusal->message))
		refusal->kind = ERROR_DRIFT;
}

/* ---- Calls ---- */

struct door {
	struct api api;
	struct http_sign sign;
	const char *headers[2];
	struct api_call call;
};

static void open_door(struct door *door, struct zone *zone, const char *method, const char *path)
{
	struct arena *arena = zone->step->arena;
	const char *id = value_reveal(value_get(zone->with, "access_key_id"));
	const char *secret = value_reveal(value_get(zone->with, "secret_access_key"));
	const char *token = value_reveal(value_get(zone->with, "session_token"));

	*door = (struct door){
		.api = {.explain = explain},
		.sign = {.scope = arena_printf(arena, "aws:amz:%s:route53",
	                                       value_get_text(zone->with, "region", "us-east-1")),
	                 .id = id ? id : "",
	                 .secret = secret ? secret : ""},
		.headers = {token ? arena_printf(arena, "X-Amz-Security-Token: %s", token) : NULL},
		.call = {.method = method,
	                 .base = value_get_text(zone->with, "url", DEFAULT_URL),
	                 .path = path},
	};
	dns_api(&door->api, zone, "Route 53");
	door->api.headers = door->headers;
	door->api.sign = &door->sign;
}

static bool decode(const struct door *door, const struct http_response *response, const char *root,
                   const struct value **answer, struct error *err)
{
	const struct value *all = xml_read(door->api.arena, response->body, response->length, err);

	if (!all)
		return fail_while(err,
		                  "%s: the answer is not the XML that it should be; is the url of "
		                  "the connection right?",
		                  api_name(&door->api, &door->call));
	*answer = value_get(all, root);
	return *answer || fail(err, ERROR_FAILED, "%s: the answer is no %s",
	                       api_name(&door->api, &door->call), root);
}

/* *answer is the content of the root element of that name. */
static bool get(struct zone *zone, const char *path, const char *root, const struct value **answer,
                struct error *err)
{
	struct http_response response;
	struct door door;

	open_door(&door, zone, "GET", path);
	if (!api_read(&door.api, &door.call, &response, err))
		return false;
	if (response.status == 404)
		return fail(err, ERROR_FAILED, "there is no hosted zone %s for %s (GET %s)",
		            zone->id ? zone->id : "", zone->name, path);
	return decode(&door, &response, root, answer, err);
}

/* Elements inside; NULL where there is none. */
static const struct value *inside(const struct value *element, const char *name)
{
	const struct value *found = value_find(element, name);

	return found && found->kind == VALUE_MAP ? found->as.items.first : NULL;
}

/* ---- The zone ---- */

/* "/hostedzone/Z123" is Z123. */
static const char *after_slash(const char *id)
{
	const char *slash = strrchr(id, '/');

	return slash ? slash + 1 : id;
}

static bool find_by_name(struct zone *zone, struct error *err)
{
	struct arena *arena = zone->step->arena;
	const char *name = dotted(arena, zone->name);
	const struct value *answer = NULL;
	size_t count = 0;

	if (!get(zone, api_path(arena, VERSION "/hostedzonesbyname?dnsname=%s&maxitems=100", name),
	         "ListHostedZonesByNameResponse", &answer, err))
		return false;
	for (const struct value *one = inside(answer, "HostedZones"); one; one = one->next) {
		const struct value *private = value_find(one, "Config.PrivateZone");
		if (strcasecmp(value_get_text(one, "Name", ""), name) != 0 ||
		    (private && private->kind == VALUE_TEXT &&
		     strcmp(private->as.text, "true") == 0))
			continue;
		zone->id = after_slash(value_get_text(one, "Id", ""));
		count++;
	}
	if (count == 1)
		return true;
	zone->id = NULL;
	if (count > 1)
		return fail(
			err, ERROR_PLAN,
			"the account has %zu public hosted zones called %s; write the `zone_id` "
			"of the right one",
			count, zone->name);
	return fail(err, ERROR_FAILED,
	            "the account has no public hosted zone %s; see to the name and to whose "
	            "credentials they are",
	            zone->name);
}

static bool find_zone(struct zone *zone, struct error *err)
{
	if (!zone->id)
		zone->id = value_get_text(zone->with, "zone_id", NULL);
	return zone->id || find_by_name(zone, err);
}

static bool find_servers(struct zone *zone, struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct value *servers = value_list(arena);
	const struct value *answer = NULL;

	if (!find_zone(zone, err) || !get(zone, api_path(arena, VERSION "/hostedzone/%s", zone->id),
	                                  "GetHostedZoneResponse", &answer, err))
		return false;
	for (const struct value *one = inside(answer, "DelegationSet.NameServers"); one;
	     one = one->next)
		if (one->kind == VALUE_TEXT)
			value_add(servers, value_text(arena, one->as.text));
	zone->servers = servers;
	return servers->as.items.count > 0 ||
	       fail(err, ERROR_FAILED, "Route 53 names no servers of zone %s; name its `servers`",
	            zone->name);
}

/* ---- Reading ---- */

/* A name as Route 53 writes it: "\052.example.com." for "*.example.com". */
static const char *escaped_name(struct arena *arena, const char *name)
{
	return name[0] == '*' ? arena_printf(arena, "\\052%s.", name + 1) : dotted(arena, name);
}

static const char *known_type(const struct value *set)
{
	const char *type = value_get_text(set, "Type", "");

	for (size_t i = 0; dns_types[i]; i++)
		if (strcmp(dns_types[i], type) == 0)
			return dns_types[i];
	return NULL;
}

static const char *next_page(struct zone *zone, const struct value *answer, const char *owner)
{
	struct arena *arena = zone->step->arena;
	const char *identifier = value_get_text(answer, "NextRecordIdentifier", NULL);

	if (strcmp(value_get_text(answer, "IsTruncated", "false"), "true") != 0 ||
	    strcasecmp(value_get_text(answer, "NextRecordName", ""), owner) != 0)
		return NULL;
	/* In the order of the alphabet, as the signature wants them. */
	return arena_printf(arena, "%s%s%s",
	                    api_path(arena, VERSION "/hostedzone/%s/rrset?", zone->id),
	                    identifier ? api_path(arena, "identifier=%s&", identifier) : "",
	                    api_path(arena, "maxitems=100&name=%s&type=%s", owner,
	                             value_get_text(answer, "NextRecordType", "")));
}

/* The record sets of the name, of the types we know, as the API has them. */
static bool list_sets(struct zone *zone, const char *name, struct value **sets, struct error *err)
{
	struct arena *arena = zone->step->arena;
	const char *owner = escaped_name(arena, name);
	const char *path = api_path(arena, VERSION "/hostedzone/%s/rrset?maxitems=100&name=%s",
	                            zone->id, owner);

	*sets = value_list(arena);
	for (int page = 0; path; page++) {
		const struct value *answer = NULL;
		if (page == PAGES_MAX)
			return fail(err, ERROR_FAILED, "the list of the records of %s has no end",
			            name);
		if (!get(zone, path, "ListResourceRecordSetsResponse", &answer, err))
			return false;
		for (const struct value *one = inside(answer, "ResourceRecordSets"); one;
		     one = one->next)
			if (strcasecmp(value_get_text(one, "Name", ""), owner) == 0 &&
			    known_type(one))
				value_add(*sets, value_copy(arena, one));
		path = next_page(zone, answer, owner);
	}
	return true;
}

static bool check_plain(const struct value *set, const char *name, struct error *err)
{
	const char *type = value_get_text(set, "Type", "");

	if (value_get(set, "AliasTarget"))
		return fail(err, ERROR_REFUSED,
		            "%s %s is an alias to %s: its addresses and time to live are not the "
		            "zone's; change it by hand",
		            name, type,
		            value_get_text(value_get(set, "AliasTarget"), "DNSName", "?"));
	if (value_get(set, "SetIdentifier"))
		return fail(err, ERROR_REFUSED,
		            "%s %s has a routing policy (set %s): which of its sets is answered "
		            "depends on who asks; change it by hand",
		            name, type, value_get_text(set, "SetIdentifier", "?"));
	return true;
}

static bool describe(struct zone *zone, const char *name, const struct value *sets,
                     struct value *records, struct error *err)
{
	for (size_t i = 0; dns_types[i]; i++)
		for (const struct value *set = first_of(sets); set; set = set->next) {
			int64_t ttl_s = strtoll(value_get_text(set, "TTL", "0"), NULL, 10);
			if (strcmp(known_type(set), dns_types[i]) != 0)
				continue;
			if (!check_plain(set, name, err))
				return false;
			for (const struct value *one = inside(set, "ResourceRecords"); one;
			     one = one->next)
				records_add(zone->step->arena, records, dns_types[i], ttl_s,
				            value_get_text(one, "Value", ""));
		}
	return true;
}

static bool read(struct zone *zone, const char *name, struct value **records, struct error *err)
{
	struct value *sets;

	*records = value_map(zone->step->arena);
	return find_zone(zone, err) && list_sets(zone, name, &sets, err) &&
	       describe(zone, name, sets, *records, err);
}

/* ---- Changing ---- */

static void add_change(struct arena *arena, struct text *out, const char *action, const char *name,
                       const char *type, const char *ttl_s)
{
	text_format(out,
	            "<Change><Action>%s</Action><ResourceRecordSet><Name>%s</Name><Type>%s</Type>"
	            "<TTL>%s</TTL><ResourceRecords>",
	            action, xml_escape(arena, name), type, xml_escape(arena, ttl_s));
}

static void add_value(struct arena *arena, struct text *out, const char *value)
{
	text_format(out, "<ResourceRecord><Value>%s</Value></ResourceRecord>",
	            xml_escape(arena, value));
}

static void end_change(struct text *out)
{
	text_add(out, "</ResourceRecords></ResourceRecordSet></Change>");
}

/* Old sets go with the very words in which they are kept there. */
static const char *make_body(struct arena *arena, const char *name, const struct value *sets,
                             const struct value *wanted)
{
	struct text out = {0};

	text_add(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	               "<ChangeResourceRecordSetsRequest xmlns=\"" NAMESPACE "\">"
	               "<ChangeBatch><Changes>");
	for (const struct value *set = first_of(sets); set; set = set->next) {
		add_change(arena, &out, "DELETE", name, known_type(set),
		           value_get_text(set, "TTL", "0"));
		for (const struct value *one = inside(set, "ResourceRecords"); one; one = one->next)
			add_value(arena, &out, value_get_text(one, "Value", ""));
		end_change(&out);
	}
	for (const struct value *set = wanted->as.items.first; set; set = set->next) {
		bool is_name = strcmp(set->key, "CNAME") == 0;
		const struct value *values = value_get(set, "values");
		add_change(
			arena, &out, "CREATE", name, set->key,
			arena_printf(arena, "%lld", (long long)value_get_number(set, "ttl_s", 60)));
		for (const struct value *one = values->as.items.first; one; one = one->next)
			add_value(arena, &out,
			          is_name ? dotted(arena, one->as.text) : one->as.text);
		end_change(&out);
	}
	text_add(&out, "</Changes></ChangeBatch></ChangeResourceRecordSetsRequest>");
	const char *body = arena_text(arena, text_string(&out));
	text_free(&out);
	return body;
}

static bool replace(struct zone *zone, const char *name, const struct value *expected,
                    const struct value *wanted, struct error *err)
{
	struct arena *arena = zone->step->arena;
	struct value *sets, *now = value_map(arena);
	const struct value *answer = NULL;
	struct http_response response;
	struct door door;

	if (!find_zone(zone, err) || !list_sets(zone, name, &sets, err) ||
	    !describe(zone, name, sets, now, err))
		return false;
	if (!value_equal(now, expected))
		return fail(err, ERROR_DRIFT, "the records of %s have just changed", name);
	open_door(&door, zone, "POST", api_path(arena, VERSION "/hostedzone/%s/rrset/", zone->id));
	door.call.body = make_body(arena, escaped_name(arena, name), sets, wanted);
	door.call.content_type = "text/xml";
	if (api_write(&door.api, &door.call, &response, err) != API_DONE)
		return false;
	if (!decode(&door, &response, "ChangeResourceRecordSetsResponse", &answer, err))
		return fail(err, ERROR_RETRY, "the change of %s was answered without sense", name);
	zone->change = after_slash(value_get_text(value_get(answer, "ChangeInfo"), "Id", ""));
	return true;
}

static bool settle(struct zone *zone, struct error *err)
{
	const char *path =
		api_path(zone->step->arena, VERSION "/change/%s", zone->change ? zone->change : "");

	for (;;) {
		const struct value *answer = NULL;
		if (!get(zone, path, "GetChangeResponse", &answer, err))
			return false;
		const char *status =
			value_get_text(value_get(answer, "ChangeInfo"), "Status", "unknown");
		if (strcmp(status, "INSYNC") == 0)
			return true;
		step_progress(zone->step, "waiting: Route 53 says that the change is %s", status);
		if (!step_sleep(zone->step, SETTLE_MS, err))
			return false;
	}
}

const struct dns_provider route53_provider = {
	.kind = &dns_route53,
	.apex = "Route 53 has aliases to AWS resources only. Give it A and AAAA records, or a "
		"redirect "
		"to www, or move the zone to a provider with ALIAS records",
	.compares = true,
	.find_servers = find_servers,
	.read = read,
	.replace = replace,
	.settle = settle,
};
