-- SPDX-License-Identifier: MIT
-- A "wide mixed" schema: about 60 tables, about 1 GB at :f = 1.0, the odd shapes real applications have.
-- Plain SQL for psql; run as the owner of an empty database:  psql -v f=1.0 -f wide_schema.sql
-- Deterministic: md5 of the row number only.
\set ON_ERROR_STOP on
\if :{?f}
\else
\set f 1.0
\endif
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT set_config('wide.f', :'f', false) \g /dev/null
CREATE EXTENSION IF NOT EXISTS citext;           -- trusted: no superuser needed
CREATE SCHEMA billing;
CREATE TYPE order_state AS ENUM ('new','paid','shipped','returned','it''s odd');
CREATE TYPE money_amt AS (amount numeric(14,2), cur char(3));
CREATE DOMAIN posint AS integer CHECK (VALUE > 0);

CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.updated_at := clock_timestamp(); RETURN NEW; END $$;

-- 1. parents -----------------------------------------------------------------------------------
CREATE TABLE accounts (
  id bigserial PRIMARY KEY, email citext NOT NULL UNIQUE, name text NOT NULL, state order_state NOT NULL DEFAULT 'new',
  balance numeric(20,6) NOT NULL DEFAULT 0, prefs jsonb NOT NULL DEFAULT '{}', tags text[] NOT NULL DEFAULT '{}',
  parent_id bigint REFERENCES accounts DEFERRABLE INITIALLY DEFERRED,       -- self reference
  search tsvector GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED,
  created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
INSERT INTO accounts (id, email, name, state, balance, prefs, tags, parent_id, created_at, updated_at)
SELECT i, 'user'||i||'@Example.com', 'Name '||md5(i::text), (enum_range(NULL::order_state))[1+i%5], i*1.000001,
  jsonb_build_object('a', i, 'b', md5(i::text), 'n', jsonb_build_array(i%7, null, true)), ARRAY['t'||i%10, 'x"y', 'a,b'],
  CASE WHEN i>10 THEN 1+i%10 END, 'epoch'::timestamptz + i*interval '1 minute', 'epoch'::timestamptz + i*interval '2 minutes'
FROM generate_series(1,(100000*:f)::int) i;
SELECT setval('accounts_id_seq', (SELECT max(id) FROM accounts)) \g /dev/null
CREATE INDEX ON accounts USING gin (prefs);
CREATE INDEX ON accounts (lower(name));
CREATE INDEX ON accounts (state) WHERE state <> 'new';
CREATE TRIGGER touch BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

-- 2. the one very large table --------------------------------------------------------------------
CREATE TABLE big_events (
  id bigserial PRIMARY KEY, account_id bigint NOT NULL REFERENCES accounts, uid uuid NOT NULL, kind text NOT NULL,
  payload jsonb, amount numeric(18,4), flags int[] , at timestamptz NOT NULL, note text);
INSERT INTO big_events SELECT i, 1 + (i::bigint*7919) % (100000*:f)::int, md5(i::text)::uuid, 'kind_'||i%23,
  CASE WHEN i%10<>0 THEN jsonb_build_object('k', i, 'v', md5((i*3)::text), 'deep', jsonb_build_object('z', i%100)) END,
  CASE WHEN i%11=0 THEN NULL ELSE i*0.0137 END, CASE WHEN i%3=0 THEN ARRAY[i%5, NULL, i] END,
  'epoch'::timestamptz + i*interval '7 seconds', CASE WHEN i%4=0 THEN E'tab\there \\ back\nnew '||i ELSE md5((i*5)::text) END
FROM generate_series(1,(1500000*:f)::int) i;
SELECT setval('big_events_id_seq', (SELECT max(id) FROM big_events)) \g /dev/null
CREATE INDEX ON big_events (account_id, at);
CREATE UNIQUE INDEX ON big_events (uid);
CREATE INDEX ON big_events (kind);

-- 3. forty-five middling tables, five key shapes, some with generated columns ---------------------
DO $$
DECLARE i int; k text; pk text; ext text; n int := 14000 * current_setting('wide.f')::numeric;
BEGIN
  FOR i IN 1..45 LOOP
    k := CASE i%5 WHEN 0 THEN 'id bigserial PRIMARY KEY'   WHEN 1 THEN 'id uuid PRIMARY KEY'
                  WHEN 2 THEN 'id text PRIMARY KEY'        WHEN 3 THEN 'a int, b int, PRIMARY KEY (a,b)'
                  ELSE 'region text, id uuid, seq smallint, PRIMARY KEY (region, id, seq)' END;
    pk := CASE i%5 WHEN 0 THEN 'g' WHEN 1 THEN 'md5(g::text)::uuid' WHEN 2 THEN '''key-''||g'
                   WHEN 3 THEN 'g/100, g%100' ELSE '''r''||g%5, md5(g::text)::uuid, (g%3)::smallint' END;
    ext := CASE WHEN i%4=0 THEN ', total numeric GENERATED ALWAYS AS (price * qty) STORED' ELSE '' END;
    EXECUTE format('CREATE TABLE %I.%I (%s, account_id bigint REFERENCES accounts ON DELETE CASCADE, title varchar(80), price numeric(12,2),
       qty int, body text, doc jsonb, raw bytea, ints int[], tags text[], st order_state, amt money_amt, ip inet, during tstzrange, iv interval,
       f8 float8, dt date, ok boolean%s, created_at timestamptz DEFAULT now())', CASE WHEN i%9=0 THEN 'billing' ELSE 'public' END, 't'||lpad(i::text,2,'0'), k, ext);
    IF i%4<>0 THEN
    EXECUTE format('INSERT INTO %I.%I SELECT %s, 1+g%%1000, ''title ''||g, g*0.37, g%%50, repeat(md5(g::text), 1+g%%8),
       jsonb_build_object(''i'',g,''m'',md5(g::text)), decode(md5(g::text)||md5((g+1)::text),''hex''), ARRAY[g,g+1,NULL], ARRAY[md5(g::text),''q"''],
       (enum_range(NULL::order_state))[1+g%%5], ROW(g*0.01,''USD'')::money_amt, (''10.''||g%%256||''.''||(g/256)%%256||''.1'')::inet,
       tstzrange(''epoch''::timestamptz+g*interval ''1 hour'', NULL), g*interval ''3 seconds'', g/7.0, date ''2000-01-01''+g%%9000,
       CASE WHEN g%%3=0 THEN NULL ELSE g%%2=0 END%s, ''epoch''::timestamptz+g*interval ''1 minute'' FROM generate_series(1,%s) g',
       CASE WHEN i%9=0 THEN 'billing' ELSE 'public' END, 't'||lpad(i::text,2,'0'), pk, '', n);
    ELSE  -- generated column: name the columns
      EXECUTE (SELECT format('INSERT INTO %s (%s) SELECT %s, 1+g%%1000, ''title ''||g, g*0.37, g%%50, repeat(md5(g::text), 1+g%%8),
       jsonb_build_object(''i'',g,''m'',md5(g::text)), decode(md5(g::text)||md5((g+1)::text),''hex''), ARRAY[g,g+1,NULL], ARRAY[md5(g::text),''q"''],
       (enum_range(NULL::order_state))[1+g%%5], ROW(g*0.01,''USD'')::money_amt, (''10.''||g%%256||''.''||(g/256)%%256||''.1'')::inet,
       tstzrange(''epoch''::timestamptz+g*interval ''1 hour'', NULL), g*interval ''3 seconds'', g/7.0, date ''2000-01-01''+g%%9000,
       CASE WHEN g%%3=0 THEN NULL ELSE g%%2=0 END, ''epoch''::timestamptz+g*interval ''1 minute'' FROM generate_series(1,%s) g',
       a.attrelid::regclass, string_agg(quote_ident(attname), ',' ORDER BY attnum), pk, n)
       FROM pg_attribute a WHERE attrelid = format('%I.%I', CASE WHEN i%9=0 THEN 'billing' ELSE 'public' END, 't'||lpad(i::text,2,'0'))::regclass
         AND attnum>0 AND NOT attisdropped AND attgenerated='' GROUP BY a.attrelid);
    END IF;
    EXECUTE format('CREATE INDEX ON %I.%I (account_id)', CASE WHEN i%9=0 THEN 'billing' ELSE 'public' END, 't'||lpad(i::text,2,'0'));
    EXECUTE format('CREATE INDEX ON %I.%I (created_at, st)', CASE WHEN i%9=0 THEN 'billing' ELSE 'public' END, 't'||lpad(i::text,2,'0'));
  END LOOP;
END $$;
SELECT setval(s, (30000*:f)::bigint+1) FROM (VALUES ('t05_id_seq'),('t10_id_seq'),('t15_id_seq')) v(s) \g /dev/null

-- 4. the odd ones ----------------------------------------------------------------------------------
CREATE TABLE audit_nopk (at timestamptz, who text, what jsonb);                     -- no key at all, with duplicate rows
INSERT INTO audit_nopk SELECT 'epoch'::timestamptz + (g/2)*interval '1 second', 'who'||(g/2)%50, jsonb_build_object('n', g/2) FROM generate_series(1,(60000*:f)::int) g;
CREATE TABLE uniq_only (code text NOT NULL UNIQUE, val text);                        -- no primary key, unique not-null
INSERT INTO uniq_only SELECT 'c'||g, md5(g::text) FROM generate_series(1,(20000*:f)::int) g;
CREATE TABLE uniq_nullable (code text UNIQUE, val text);                             -- unique but nullable
INSERT INTO uniq_nullable SELECT CASE WHEN g%10>0 THEN 'c'||g END, md5(g::text) FROM generate_series(1,(20000*:f)::int) g;
CREATE TABLE metrics (id bigint GENERATED BY DEFAULT AS IDENTITY, at date NOT NULL, v double precision, tag text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE metrics_2020 PARTITION OF metrics FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE metrics_2021 PARTITION OF metrics FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE metrics_2022 PARTITION OF metrics FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE TABLE metrics_rest PARTITION OF metrics DEFAULT;
INSERT INTO metrics (id, at, v, tag) SELECT g, date '2020-01-01' + g%1200, g/3.0, md5(g::text) FROM generate_series(1,(200000*:f)::int) g;
SELECT setval('metrics_id_seq', (SELECT max(id) FROM metrics)) \g /dev/null
CREATE INDEX ON metrics (tag);
CREATE TABLE "CamelCase Table" ("Id" integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "select" text, "we""ird col" text, "naïve" numeric);
INSERT INTO "CamelCase Table" ("select","we""ird col","naïve") SELECT md5(g::text), E'q\\''"'||g, 'NaN' FROM generate_series(1,(20000*:f)::int) g;
CREATE TABLE dropped_cols (id serial PRIMARY KEY, gone1 text, keep1 text, gone2 int, keep2 numeric);
ALTER TABLE dropped_cols DROP COLUMN gone1, DROP COLUMN gone2, ADD COLUMN added int NOT NULL DEFAULT 7;
INSERT INTO dropped_cols (keep1, keep2) SELECT md5(g::text), 'Infinity' FROM generate_series(1,(20000*:f)::int) g;
CREATE TABLE blobs (id serial PRIMARY KEY, data bytea NOT NULL, sha bytea GENERATED ALWAYS AS (sha256(data)) STORED);
ALTER TABLE blobs ALTER data SET STORAGE EXTERNAL;
INSERT INTO blobs (data) SELECT decode(string_agg(md5((g*10000+j)::text),''),'hex') FROM generate_series(1,(600*:f)::int) g, generate_series(1,6000) j GROUP BY g;
CREATE TABLE empty_table (id bigserial PRIMARY KEY, x text);
CREATE TABLE wide_cols (id serial PRIMARY KEY);
DO $$ DECLARE s text := ''; i int; BEGIN FOR i IN 1..120 LOOP s := s || format(', ADD COLUMN c%s %s', i, CASE i%4 WHEN 0 THEN 'int' WHEN 1 THEN 'text' WHEN 2 THEN 'timestamptz' ELSE 'numeric(10,2)' END); END LOOP;
  EXECUTE 'ALTER TABLE wide_cols ' || substr(s,2);
  EXECUTE (SELECT format('INSERT INTO wide_cols (%s) SELECT %s FROM generate_series(1,%s) g', string_agg('c'||j, ','),
    string_agg(CASE j%4 WHEN 0 THEN 'CASE WHEN g%3=0 THEN g END' WHEN 1 THEN '''v''||g' WHEN 2 THEN 'CASE WHEN g%2=0 THEN ''epoch''::timestamptz+g*interval ''1 s'' END' ELSE 'g*0.11' END, ','),
    (15000*current_setting('wide.f')::numeric)::int) FROM generate_series(1,120) j); END $$;
CREATE TABLE cyc_a (id serial PRIMARY KEY, b_id int); CREATE TABLE cyc_b (id serial PRIMARY KEY, a_id int REFERENCES cyc_a);
ALTER TABLE cyc_a ADD FOREIGN KEY (b_id) REFERENCES cyc_b DEFERRABLE;
INSERT INTO cyc_a SELECT g, NULL FROM generate_series(1,1000) g; INSERT INTO cyc_b SELECT g, g FROM generate_series(1,1000) g; UPDATE cyc_a SET b_id=id;
CREATE TABLE rooms (id serial PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&), n posint);
INSERT INTO rooms (during, n) SELECT int4range(g*10, g*10+9), g FROM generate_series(1,2000) g;
CREATE VIEW account_totals AS SELECT account_id, count(*) FROM big_events GROUP BY 1;
CREATE MATERIALIZED VIEW mv_kinds AS SELECT kind, count(*) FROM big_events GROUP BY 1;
