"""What is peculiar to one product: its pages, sessions, lost records and limits, against its running double."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from integrations.configuration import BadConfig
from integrations.errors import PermanentFailure, TemporaryFailure
from integrations.logs import veeam_spc
from integrations.logs.context import Context
from integrations.logs.head import head_of
from integrations.logs.joblog import Delivery, JobLog
from integrations.pulling import Fetched, LoginRefused, Session
from integrations.pulling.contract import Listing
from integrations.pulling.progress import progress_of
from integrations.pulling.urbackup import answer_to
from integrations.pulling.vspc import Console
from tests.doubles.raw_server import RawServer, certificate_for
from tests.doubles.urbackup_server import RIGHTLESS
from tests.doubles.vspc_server import API_KEY
from tests.integrations.pulling.benches import NOW, Bench, open_bench

HOUR = timedelta(hours=1)


@pytest.fixture
def comet() -> Iterator[Bench]:
    with open_bench("comet") as bench:
        yield bench


@pytest.fixture
def pbs() -> Iterator[Bench]:
    with open_bench("proxmox-backup-server") as bench:
        yield bench


@pytest.fixture
def ur() -> Iterator[Bench]:
    with open_bench("urbackup") as bench:
        yield bench


@pytest.fixture
def vspc() -> Iterator[Bench]:
    with open_bench("vspc") as bench:
        yield bench


def ids(fetched: list[object]) -> list[str]:
    return [str(getattr(one, "delivery_id", "")) for one in fetched]


# --- Comet -------------------------------------------------------------------------------------------------------


def test_comet_is_asked_in_windows_that_touch(comet: Bench) -> None:
    comet.pull_all()
    ranges = [one for one in comet.server.ranges if one != (0, 0)]
    assert len(ranges) > 5
    assert all(later <= end for (_, end), (later, _) in pairwise(ranges))
    assert ranges[-1][1] > NOW.timestamp()


def test_a_comet_job_that_ended_long_ago_by_its_own_word_is_asked_for_by_itself(comet: Bench) -> None:
    """A device that was away: the server closes its job with the time at which it was last heard of."""
    guid = comet.start_job(NOW - 40 * HOUR)
    _, cursor = comet.pull_all()
    comet.server.end(guid, ended=NOW - 39 * HOUR, status=7007)
    fetched, cursor = comet.pull_all(cursor)
    assert ids(fetched) == [f"{guid}:ended"]
    assert comet.pull_all(cursor)[0] == []


def test_a_comet_job_that_is_gone_holds_nothing_up(comet: Bench) -> None:
    guid = comet.start_job(NOW - 40 * HOUR)
    _, cursor = comet.pull_all()
    del comet.server.jobs[guid]
    fetched, cursor = comet.pull_all(cursor)
    assert (fetched, cursor["running"]) == ([], [])


# --- Proxmox Backup Server ---------------------------------------------------------------------------------------


def test_pbs_pages_overlap_and_end_at_what_is_known(pbs: Bench) -> None:
    for minutes in range(1200):
        pbs.end_job(NOW - timedelta(minutes=minutes))
    fetched, cursor = pbs.pull_all()
    assert len(set(ids(fetched))) == 1200
    assert 450 in pbs.server.starts
    pbs.server.starts.clear()
    assert pbs.pull(cursor).deliveries == ()
    assert pbs.server.starts == [0]


def test_a_pbs_task_that_began_long_before_the_last_pull_is_fetched(pbs: Bench) -> None:
    """The API's own ``since`` would leave it out."""
    pbs.end_job(NOW - HOUR)
    _, cursor = pbs.pull_all()
    upid = pbs.server.add(started=NOW - 70 * HOUR, ended=NOW)
    assert ids(pbs.pull_all(cursor)[0]) == [f"{upid}:ended"]


def test_pbs_tasks_that_are_no_runs_are_left_out(pbs: Bench) -> None:
    pbs.server.add(started=NOW - HOUR, ended=NOW - HOUR, worker="aptupdate")
    assert pbs.pull_all()[0] == []


def test_of_a_long_pbs_log_the_beginning_and_the_end_are_fetched(pbs: Bench) -> None:
    upid = pbs.end_job(NOW - HOUR)
    last = pbs.server.lines[upid][-1]
    pbs.server.lines[upid] = [*pbs.server.lines[upid], *(f"chunk {n}" for n in range(9000)), last]
    (fetched,) = pbs.pull_all()[0]
    (task,) = json.loads(fetched.content)["data"]
    assert (len(task["log"]) <= 4001, task["log"][-1]["t"]) == (True, last)
    numbers = [line["n"] for line in task["log"]]
    assert numbers == sorted(set(numbers))


def test_a_pbs_task_without_its_log_is_fetched(pbs: Bench) -> None:
    upid = pbs.end_job(NOW - HOUR)
    del pbs.server.lines[upid]
    assert ids(pbs.pull_all()[0]) == [f"{upid}:ended"]


@pytest.mark.parametrize("token", ["backledger", "backledger@pbs", "a b@pbs!x", "backledger@pbs!x:y"])
def test_a_pbs_token_must_be_one(pbs: Bench, token: str) -> None:
    with pytest.raises(BadConfig) as refused:
        pbs.config(token_id=token)
    assert refused.value.field == "token_id"


# --- UrBackup ----------------------------------------------------------------------------------------------------


def test_an_urbackup_session_that_ended_is_opened_once_more(ur: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ur.end_job(NOW - HOUR)

    def ended(*told: object, **values: object) -> object:
        ur.server.end_sessions()
        return progress_of(*told, **values)  # type: ignore[arg-type]

    monkeypatch.setattr("integrations.pulling.urbackup.progress_of", ended)
    assert len(ur.pull().deliveries) == 1
    assert ur.server.asked.count("/x") == 7  # salt, login, the list, the refusal, salt, login, the log


def test_an_urbackup_user_without_the_right_is_told(ur: Bench) -> None:
    with pytest.raises(PermanentFailure, match="no right to see the logs"):
        ur.connector.check(ur.config(username=RIGHTLESS), ur.session())


def test_an_unknown_urbackup_user_is_told(ur: Bench) -> None:
    with pytest.raises(LoginRefused, match="there is no user nobody-here"):
        ur.connector.check(ur.config(username="nobody-here"), ur.session())


def test_urbackup_logs_that_are_shown_no_more_are_told(ur: Bench) -> None:
    ur.server.add(ended=NOW - HOUR)
    _, cursor = ur.pull_all()
    for _ in range(60):
        ur.server.add(ended=NOW - timedelta(minutes=1))
    pulled = ur.pull(cursor)
    assert (len(pulled.deliveries), "WS-ANNA" in pulled.remark) == (50, True)


def test_the_proof_of_an_urbackup_password_is_salted_and_stretched() -> None:
    first = hashlib.md5(b"saltpass").digest()
    plain = hashlib.md5(b"rnd" + first.hex().encode()).hexdigest()
    assert answer_to({"salt": "salt", "rnd": "rnd", "pbkdf2_rounds": 0}, "pass") == plain
    assert answer_to({"salt": "salt", "rnd": "rnd"}, "pass") == plain
    stretched = hashlib.pbkdf2_hmac("sha256", first, b"salt", 3).hex()
    told = answer_to({"salt": "salt", "rnd": "rnd", "pbkdf2_rounds": 3}, "pass")
    assert told == hashlib.md5(b"rnd" + stretched.encode()).hexdigest()
    with pytest.raises(TemporaryFailure, match="more rounds"):
        answer_to({"salt": "salt", "rnd": "rnd", "pbkdf2_rounds": 10**9}, "pass")


# --- Veeam Service Provider Console ------------------------------------------------------------------------------


def test_a_vspc_token_that_ended_is_asked_for_once_more(vspc: Bench) -> None:
    vspc.end_job(NOW - HOUR)
    console = Console(vspc.config(), vspc.session())
    before = vspc.server.logins
    vspc.server.end_sessions()
    assert list(console.rows("organizations"))
    assert vspc.server.logins == before + 1


def test_a_vspc_key_needs_no_login(vspc: Bench) -> None:
    config = vspc.config(username="", password="", api_key=API_KEY)
    vspc.connector.check(config, vspc.session())
    assert vspc.server.logins == 0
    with pytest.raises(LoginRefused):
        vspc.connector.check(vspc.config(username="", password="", api_key="other"), vspc.session())


def test_vspc_settings_without_any_secret_are_refused(vspc: Bench) -> None:
    with pytest.raises(BadConfig):
        vspc.config(username="", password="")
    with pytest.raises(BadConfig):
        vspc.config(password="")


def test_vspc_agents_and_pages(vspc: Bench) -> None:
    for _ in range(620):
        vspc.end_job(NOW - HOUR)
    vspc.server.add_agent_job(ended=NOW - HOUR)
    fetched, _ = vspc.pull_all()
    assert len(set(ids(fetched))) == 621
    (agent,) = [json.loads(one.content) for one in fetched if b"backupAgentJob" in one.content]
    assert (agent["backupAgent"]["name"], agent["company"]["name"]) == ("WS-ANNA", "Contoso")


def test_what_changes_beside_a_vspc_session_is_no_news(vspc: Bench) -> None:
    uid = vspc.end_job(NOW - HOUR)
    _, cursor = vspc.pull_all()
    vspc.server.jobs[uid] |= {"avgDuration": 7, "isEnabled": False}
    assert vspc.pull_all(cursor)[0] == []


# --- TLS ---------------------------------------------------------------------------------------------------------


def test_a_certificate_of_its_own_is_trusted_by_its_fingerprint_alone(comet: Bench, tmp_path: Path) -> None:
    certificate, context = certificate_for("127.0.0.1", tmp_path)
    body = b'{"Version": "24.9.3"}'
    says = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    right = fingerprint_of(certificate)
    with RawServer(says, hold=False, context=context) as port:
        url = f"https://127.0.0.1:{port}/"

        def ask(fingerprint: str) -> object:
            return Session(deadline_seconds=5, allow_private=True, fingerprint=fingerprint).ask("GET", url).document

        assert ask(right) == {"Version": "24.9.3"}
        with pytest.raises(TemporaryFailure, match="another certificate than the one"):
            ask("ab" * 32)
        with pytest.raises(TemporaryFailure, match="not trusted"):
            ask("")


def fingerprint_of(certificate: Path) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.read_text())).hexdigest()


def read_one(fetched: Fetched) -> JobLog:
    delivery = Delivery(stdout=fetched.content)
    (log,) = veeam_spc.parse(delivery, Context(head=head_of(delivery)))
    return log


def test_the_console_tells_which_jobs_it_lists_no_more(vspc: Bench) -> None:
    first, second = vspc.end_job(NOW), vspc.end_job(NOW)
    pulled = vspc.pull()
    assert pulled.listing is not None
    assert [job for job, _ in pulled.listing.there] == ["Servers to cloud 1", "Servers to cloud 2"]
    assert pulled.listing.gone == ()
    named = {log.source_job: log.item for log in (read_one(one) for one in pulled.deliveries)}
    assert dict(pulled.listing.there) == named, "in the words of the format"
    del vspc.server.jobs[first]
    after = vspc.pull(pulled.cursor)
    assert after.listing == Listing(
        there=(("Servers to cloud 2", named["Servers to cloud 2"]),),
        gone=(("Servers to cloud 1", named["Servers to cloud 1"]),),
    )
    del vspc.server.jobs[second]
    assert vspc.pull(after.cursor).listing is None, "an empty list may be a right that was taken away"
