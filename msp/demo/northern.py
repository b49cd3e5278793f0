"""The first demonstration tenant: an invented systems house in Hamburg, with two resellers and fourteen clients."""

from __future__ import annotations

from msp.demo.scenario import (
    GB,
    Act,
    ClientPlan,
    JobPlan,
    MspPlan,
    PlanPlan,
    ResellerPlan,
    SellerPlan,
    ServerPlan,
    Story,
    Stray,
)

RESTIC, BORG, WINDOWS, COPIES = "hh-restic01", "hh-borg02", "hh-duplicati03", "hh-copy04"

DIRECT = (
    ClientPlan(
        name="Zahnarztpraxis Dr. Lindqvist",
        code="lindqvist",
        city="Hamburg",
        plan="datensicherung",
        quota=400 * GB,
        machines=("LQ-FS01", "LQ-DB01"),
        jobs=(
            JobPlan(
                name="Lindqvist Dateien",
                server=RESTIC,
                product="restic",
                schedule="daily 22:00",
                root="/srv/praxis",
                size=181 * GB,
                files=214_300,
                restores="0 14 5 * *",
                cared_for=True,
            ),
            JobPlan(
                name="Lindqvist Praxisdatenbank",
                server=RESTIC,
                product="own",
                schedule="30 7-19/4 * * 1-5",
                root="praxis",
                size=21 * GB,
                files=1,
                minutes=3,
                churn=40_000,
                mishaps=2,
            ),
        ),
    ),
    ClientPlan(
        name="Kanzlei Bredow & Partner",
        code="bredow",
        city="Lübeck",
        plan="datensicherung",
        machines=("BRE-FILE", "BRE-MAIL"),
        jobs=(
            JobPlan(
                name="Bredow Akten",
                server=RESTIC,
                product="restic",
                schedule="daily 22:00",
                root="/srv/akten",
                size=423 * GB,
                files=611_000,
                minutes=24,
                restores="30 13 12 * *",
                cared_for=True,
                stories=(Story(what="disk full", last_runs=2),),
            ),
            JobPlan(
                name="Bredow Mailarchiv",
                server=BORG,
                product="borg",
                schedule="daily 23:30",
                root="/srv/mail",
                size=96 * GB,
                files=88_400,
                cared_for=True,
            ),
        ),
    ),
    ClientPlan(
        name="Autohaus Wernicke",
        code="wernicke",
        city="Norderstedt",
        plan="datensicherung",
        machines=("WER-FS", "WER-DMS"),
        jobs=(
            JobPlan(
                name="Wernicke Dateiserver",
                server=BORG,
                product="borg",
                schedule="daily 23:30",
                root="/srv/autohaus",
                size=258 * GB,
                files=301_000,
                minutes=22,
                cared_for=True,
            ),
            JobPlan(
                name="Wernicke DMS-Datenbank",
                server=BORG,
                product="own",
                schedule="daily 01:30",
                root="dms",
                size=64 * GB,
                files=1,
                minutes=9,
                churn=60_000,
                restores="0 15 20 * *",
            ),
            JobPlan(
                name="Wernicke Systemabbilder",
                server=COPIES,
                product="rsync",
                schedule="sun 04:00",
                mishaps=0,
                root="/srv/abbilder",
                size=610 * GB,
                files=4_180,
                minutes=40,
                churn=120_000,
                target="NAS in Lübeck",
            ),
        ),
    ),
    ClientPlan(
        name="Architekturbüro Halm",
        code="halm",
        city="Hamburg",
        plan="datensicherung",
        quota=1_690 * GB,
        machines=("HALM-CAD",),
        jobs=(
            JobPlan(
                name="Halm Pläne",
                server=RESTIC,
                product="restic",
                schedule="weekdays 22:00",
                root="/srv/plaene",
                size=1_395 * GB,
                files=1_240_000,
                minutes=27,
                daily_growth=1_250,
                cared_for=True,
            ),
            JobPlan(
                name="Halm Pläne (Kopie)",
                server=COPIES,
                product="rsync",
                schedule="sun 05:00",
                mishaps=0,
                root="/srv/plaene",
                size=1_395 * GB,
                files=1_240_000,
                minutes=55,
                daily_growth=1_250,
                churn=30_000,
                copy_of="Halm Pläne",
                target="NAS in Lübeck",
            ),
        ),
    ),
    ClientPlan(
        name="Steuerberatung Okonjo",
        code="okonjo",
        city="Pinneberg",
        plan="datensicherung-fest",
        machines=("OKO-FS",),
        jobs=(
            JobPlan(
                name="Okonjo Mandantendaten",
                server=RESTIC,
                product="restic",
                schedule="daily 22:00",
                root="/srv/mandanten",
                size=142 * GB,
                files=195_000,
                restores="0 14 8 * *",
                cared_for=True,
                stories=(Story(what="unreadable file", last_runs=5),),
            ),
        ),
    ),
    ClientPlan(
        name="Verlag Papierboot",
        code="papierboot",
        city="Bremen",
        plan="datensicherung",
        quota=2_200 * GB,
        machines=("PB-STORE",),
        notes="Umzug des Rechenzentrums im letzten Monat: eine Woche ohne Leitung.",
        jobs=(
            JobPlan(
                name="Papierboot Druckvorstufe",
                server=BORG,
                product="borg-json",
                schedule="daily 23:30",
                root="/srv/druck",
                size=1_850 * GB,
                files=830_000,
                minutes=31,
                daily_growth=5_000,
                cared_for=True,
                stories=(Story(what="silent", month_days=(9, 16)),),
            ),
        ),
    ),
    ClientPlan(
        name="Tischlerei Grohmann",
        code="grohmann",
        city="Stade",
        plan="datensicherung-fest",
        suspended_days_ago=20,
        notes="Betrieb ruht; Vertrag auf Wunsch ausgesetzt.",
        machines=("GRO-PC1",),
        jobs=(
            JobPlan(
                name="Grohmann Büro",
                server=WINDOWS,
                product="duplicati",
                schedule="weekdays 19:30",
                root="D:\\Buero",
                size=58 * GB,
                files=71_000,
            ),
        ),
    ),
    ClientPlan(
        name="Physio am Markt",
        code="physio",
        city="Buxtehude",
        state="trial",
        joined_days_ago=17,
        machines=("PHY-PC1",),
        jobs=(
            JobPlan(
                name="Physio Praxisordner",
                server=WINDOWS,
                product="duplicati",
                schedule="weekdays 19:30",
                root="D:\\Praxis",
                size=34 * GB,
                files=41_000,
                mishaps=0,
            ),
        ),
    ),
)

OF_HAFENKANTE = (
    ClientPlan(
        name="Bäckerei Sonnenkorn",
        code="sonnenkorn",
        city="Hamburg",
        reseller="hafenkante",
        machines=("SK-KASSE",),
        jobs=(
            JobPlan(
                name="Sonnenkorn Kassen",
                server=WINDOWS,
                product="duplicati",
                schedule="daily 19:30",
                root="C:\\Kassendaten",
                size=47 * GB,
                files=62_000,
                stories=(Story(what="silent", since_days=3.2),),
            ),
        ),
    ),
    ClientPlan(
        name="Fahrradwerk Altona",
        code="fahrradwerk",
        city="Hamburg",
        reseller="hafenkante",
        machines=("FW-SHOP", "FW-BUERO"),
        jobs=(
            JobPlan(
                name="Fahrradwerk Shop",
                server=BORG,
                product="borg",
                schedule="daily 01:30",
                root="/srv/shop",
                size=118 * GB,
                files=402_000,
                stories=(Story(what="repository locked", last_runs=2),),
            ),
            JobPlan(
                name="Fahrradwerk Büro",
                server=WINDOWS,
                product="duplicati",
                schedule="weekdays 19:30",
                root="D:\\Daten",
                size=73 * GB,
                files=90_100,
                restores="0 16 15 * *",
            ),
        ),
    ),
    ClientPlan(
        name="Tierklinik Rosental",
        code="rosental",
        city="Ahrensburg",
        reseller="hafenkante",
        machines=("ROS-PACS", "ROS-FS"),
        jobs=(
            JobPlan(
                name="Rosental Röntgenbilder",
                server=COPIES,
                product="rsync",
                schedule="30 7-19/4 * * *",
                root="/srv/pacs",
                size=305 * GB,
                files=48_200,
                minutes=12,
                mishaps=0,
                target="NAS in Lübeck",
                stories=(Story(what="offline", alternating=9),),
            ),
            JobPlan(
                name="Rosental Verwaltung",
                server=RESTIC,
                product="restic",
                schedule="daily 22:00",
                root="/srv/buero",
                size=88 * GB,
                files=104_000,
                cared_for=True,
            ),
        ),
    ),
)

OF_ELBE = (
    ClientPlan(
        name="Hotel Möwenblick",
        code="moewenblick",
        city="Cuxhaven",
        reseller="elbe",
        machines=("MB-PMS", "MB-FS"),
        jobs=(
            JobPlan(
                name="Möwenblick Hotelsystem",
                server=BORG,
                product="own",
                schedule="daily 01:30",
                root="pms",
                size=37 * GB,
                files=1,
                minutes=8,
                churn=70_000,
                restores="0 11 3 * *",
                stories=(Story(what="offline", days_ago=(9, 9)),),
            ),
            JobPlan(
                name="Möwenblick Dateien",
                server=COPIES,
                product="rsync",
                schedule="daily 01:30",
                root="/srv/hotel",
                size=151 * GB,
                files=187_000,
                target="NAS in Lübeck",
                stories=(Story(what="vanished files", last_runs=4),),
            ),
        ),
    ),
    ClientPlan(
        name="Gärtnerei Immergrün",
        code="immergruen",
        city="Vierlanden",
        reseller="elbe",
        machines=("IG-PC2",),
        jobs=(
            JobPlan(
                name="Immergrün Büro",
                server=WINDOWS,
                product="duplicati",
                schedule="daily 19:30",
                root="E:\\Buero",
                size=29 * GB,
                files=33_000,
                mishaps=0,
                stories=(Story(what="nothing there", since_days=10),),
            ),
        ),
    ),
    ClientPlan(
        name="Schule am Wasserturm",
        code="wasserturm",
        city="Lüneburg",
        reseller="elbe",
        machines=("SW-FS", "SW-VERW"),
        jobs=(
            JobPlan(
                name="Wasserturm Lehrerablage",
                server=RESTIC,
                product="restic",
                schedule="weekdays 22:00",
                root="/srv/schule",
                size=512 * GB,
                files=940_000,
                minutes=24,
                cared_for=True,
            ),
            JobPlan(
                name="Wasserturm Verwaltung",
                server=BORG,
                product="borg-json",
                schedule="daily 23:30",
                root="/srv/verwaltung",
                size=77 * GB,
                files=81_000,
                restores="30 12 18 * *",
                stories=(Story(what="offline", last_runs=1),),
            ),
        ),
    ),
)

UNKNOWN_PRODUCT = """Sicherungsassistent 4.2 - Protokoll
Auftrag: Buchhaltung komplett
Quelle: D:\\Buchhaltung   Ziel: \\\\nas\\sicherung
Ergebnis: erfolgreich abgeschlossen (12.418 Dateien)
"""
CUT_OFF = '{\n    "archive": {\n        "command_line": ["/usr/bin/borg", "create"],\n        "duration": 71.2,\n'
UNKNOWN_JOB = (
    '{"backledger": 1, "runs": [{"operation": "backup", "outcome": "success", "job": "%s", "run_id": "%s", '
    '"protected_bytes": 18250112004, "transferred_bytes": 91004112, "basis": "dump", "complete": true}]}'
)

NORTHERN = MspPlan(
    name="Nordlicht Systemhaus",
    zone="Europe/Berlin",
    currency="EUR",
    desk_host="desk.nordlicht.example",
    reseller_desk="hafenkante",
    people=(
        ("owner", "Frauke Brandt", "frauke.brandt@nordlicht.example"),
        ("technician", "Jonas Petersen", "jonas.petersen@nordlicht.example"),
        ("billing", "Meike Sommer", "meike.sommer@nordlicht.example"),
    ),
    resellers=(
        ResellerPlan(
            name="Hafenkante IT-Service", code="hafenkante", staff=("Timo Reimers", "timo.reimers@hafenkante.example"),
            wholesale="grosshandel",
        ),
        ResellerPlan(
            name="Elbe Datendienste", code="elbe", staff=("Svenja Kuhn", "svenja.kuhn@elbe-daten.example"),
            wholesale="grosshandel",
        ),
    ),
    servers=(
        ServerPlan(name=RESTIC, volumes=(("vault-a", 8_000 * GB, 71), ("vault-b", 8_000 * GB, 96))),
        ServerPlan(name=BORG, volumes=(("borg-pool", 12_000 * GB, 63),)),
        ServerPlan(name=WINDOWS, volumes=(("object store", 4_000 * GB, 22),)),
        ServerPlan(name=COPIES, volumes=(("nas-luebeck", 16_000 * GB, 48),), new_jobs="refuse"),
    ),
    targets=(("Backup vault", "local", False), ("NAS in Lübeck", "offsite", True)),
    clients=(*DIRECT, *OF_HAFENKANTE, *OF_ELBE),
    plans=(
        PlanPlan(
            code="datensicherung",
            draft={
                "name": "Datensicherung je GB", "currency": "EUR", "price": "tiered", "minimum": "25",
                "price_params": {
                    "tiers": [
                        {"unit_price": "0.18", "up_to": "250"},
                        {"unit_price": "0.12", "up_to": "1000"},
                        {"unit_price": "0.08"},
                    ]
                },
            },
        ),
        PlanPlan(
            code="datensicherung-fest",
            draft={
                "name": "Datensicherung Festpreis", "currency": "EUR", "price": "flat", "price_params": {"fee": "49"},
            },
        ),
        PlanPlan(
            code="grosshandel",
            draft={
                "name": "Großhandel je GB", "currency": "EUR", "price": "per_unit", "meter": "peak_day",
                "price_params": {"unit_price": "0.055"},
            },
        ),
    ),
    seller=SellerPlan(
        legal_name="Nordlicht Systemhaus GmbH",
        address="Speicherstraße 7\n20457 Hamburg",
        country="DE",
        tax_id="DE000000000",
        bank="Beispielbank, IBAN DE00 0000 0000 0000 0000 00",
        email="rechnung@nordlicht.example",
        tax_percent=19,
        number_format="NL-{year}-{number:04d}",
    ),
    acts=(
        Act(
            what="close", days_ago=9, hour=8, client="moewenblick", job="Möwenblick Hotelsystem", kind="errors",
            note="Kassenserver wurde in der Nacht getauscht, die nächste Sicherung läuft heute Abend.",
        ),
        Act(
            what="acknowledge", days_ago=1, hour=9, client="okonjo", job="Okonjo Mandantendaten", kind="errors",
            note="Rechte auf payroll.db sind mit Frau Okonjo besprochen, Termin am Freitag.",
        ),
        Act(
            what="silence", days_ago=1, hour=7, client="wasserturm", hours=72,
            note="Umbau der Stromversorgung, Server zeitweise aus.",
        ),
    ),
    strays=(
        Stray(server=WINDOWS, days_ago=6, hour=21, content=UNKNOWN_PRODUCT, job="Buchhaltung"),
        Stray(server=BORG, days_ago=3, hour=4, content=CUT_OFF, format="borg"),
        *(
            Stray(
                server=RESTIC,
                days_ago=days,
                hour=3,
                content=UNKNOWN_JOB % ("Sonnenkorn Warenwirtschaft", f"ww-{days}"),
            )
            for days in (3, 2, 1)
        ),
        Stray(server=COPIES, days_ago=4, hour=6, content=UNKNOWN_JOB % ("Testlauf Praktikant", "test-1")),
    ),
    pause_days_ago=12,
)  # fmt: skip
