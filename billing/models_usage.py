"""Usage that no log tells, as it was handed in: a file that was read, and once a person agreed to it, entered."""

from __future__ import annotations

from django.db import models

from msp.tenants.wall import TenantOwned, one_of, uid_key


class UsageImport(TenantOwned):
    """A CSV of usage. Checked: read, and nothing entered yet; applied: in the ledger; dropped: a person said no.

    ``content`` is the file itself, compressed by zlib; ``digest`` its SHA-256. ``written`` counts ledger entries.
    """

    name = models.CharField(max_length=200)
    content = models.BinaryField()
    digest = models.CharField(max_length=64)
    rows = models.IntegerField()
    state = models.CharField(max_length=8, default="checked")
    written = models.IntegerField(default=0)
    uploaded_by = models.CharField(max_length=200)
    uploaded_at = models.DateTimeField()
    settled_by = models.CharField(max_length=200, blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        constraints = [uid_key("usageimport"), one_of("usageimport", "state", ("checked", "applied", "dropped"))]
        indexes = [models.Index(fields=["tenant", "-uploaded_at"], name="usageimport_newest")]

    def __str__(self) -> str:
        return self.name


class UsageNames(TenantOwned):
    """The names behind a count: one row for each entry of the ledger that counts and told them; only inserted.

    ``names`` is a list of [what the thing is known by, its name]: a machine is the same under a new name.
    """

    source = models.CharField(max_length=240)
    metric = models.CharField(max_length=20)
    revision = models.IntegerField()
    names = models.JSONField()

    class Meta(TenantOwned.Meta):
        constraints = [
            uid_key("usagenames"),
            models.UniqueConstraint(fields=["tenant", "source", "metric", "revision"], name="usagenames_entry"),
        ]
