"""Settings of the exports for accounting: of each seller and program its accounts and names of taxes."""

from __future__ import annotations

from django.db import models

from billing.models import Seller
from msp.tenants.wall import TenantOwned, uid_key


class ExportSettings(TenantOwned):
    """``params`` as JSON of the export's ``Params``; ``exporter`` is its key in ``billing.exporting.EXPORTS``."""

    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="+", db_index=False)
    exporter = models.CharField(max_length=20)
    params = models.JSONField(default=dict)

    class Meta(TenantOwned.Meta):
        app_label = "billing"
        constraints = [
            uid_key("exportsettings"),
            models.UniqueConstraint(fields=["tenant", "seller", "exporter"], name="exportsettings_key"),
        ]
