# SPDX-License-Identifier: MIT
"""Two real servers for the modules of PostgreSQL; each module has a database of its own on both. They are made when the
first module asks for them."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "postgres"))
from cluster import SETTINGS, Cluster  # noqa: E402

SIDES = ("source", "target")
# What a plan can change, without oids.
STATE = """
SELECT format('relation %s %s.%s', relkind, relnamespace::regnamespace, relname) FROM pg_class
 WHERE relnamespace::regnamespace::text !~ '^pg_|^information_schema'
UNION ALL SELECT format('trigger %s %s %s', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT format('function %s', p.oid::regprocedure) FROM pg_proc p
 WHERE pronamespace::regnamespace::text !~ '^pg_|^information_schema'
UNION ALL SELECT format('constraint %s %s %s', conrelid::regclass, conname, convalidated) FROM pg_constraint
 WHERE conrelid <> 0 AND connamespace::regnamespace::text !~ '^pg_|^information_schema'
UNION ALL SELECT format('extension %s in %s', extname, extnamespace::regnamespace) FROM pg_extension
UNION ALL SELECT format('schema %s', nspname) FROM pg_namespace WHERE nspname !~ '^pg_'
ORDER BY 1"""


class Databases:
    def __init__(self):
        # Whatever takes a transaction id by itself would count as an effect.
        settings = {**SETTINGS, "autovacuum": "off"}
        self.clusters, self.name = {}, None
        try:
            for side in SIDES:
                self.clusters[side] = Cluster(side, settings)
        except BaseException:
            self.destroy()
            raise

    def destroy(self):
        for cluster in self.clusters.values():
            cluster.destroy()

    def begin(self, name):
        """Empty ones for one module."""
        self.name = name
        for cluster in self.clusters.values():
            cluster.add_database(name)

    def sql(self, side, sql, superuser=False):
        cluster = self.clusters[side]
        return cluster.rows(sql, cluster.superuser if superuser else None, self.name)

    def urls(self):
        """For the environment of a plan."""
        return {f"{side.upper()}_URL": self.clusters[side].url(database=self.name) for side in SIDES}

    def done(self):
        """Grows with every transaction that wrote something."""
        return {side: self.sql(side, "SELECT pg_snapshot_xmax(pg_current_snapshot())")[0][0] for side in SIDES}

    def state(self):
        return {side: {row[0]: True for row in self.sql(side, STATE)} for side in SIDES}
