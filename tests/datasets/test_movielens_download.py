"""Check downloads of MovieLens from a server on this machine, when they fail too."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from helpers.broken_archives import BROKEN
from helpers.movielens_files import ARCHIVES, FILES, files_below, md5, zipped

from sklearn_mf.datasets import _download, _movielens, fetch_movielens

# A server that answers as told


class Server:
    """Answers to a path, in turn (the last one stays): (status, body[, length announced]), or "silence".

    With a status of "stall" the body is sent, and then nothing. A status (302, address) is a redirect.
    """

    def __init__(self):
        self.answers, self.requests, self.over = {}, [], threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                queue = server.answers.get(self.path, [(404, b"")])
                answer = queue.pop(0) if len(queue) > 1 else queue[0]
                if answer == "silence":
                    server.over.wait(5)
                    return
                status, body, *length = answer
                if isinstance(status, tuple):
                    status, target = status
                    self.send_response(status)
                    self.send_header("Location", target)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200 if status == "stall" else status)
                if not length or length[0] is not None:
                    self.send_header("Content-Length", str(length[0] if length else len(body)))
                self.end_headers()
                with suppress(BrokenPipeError):  # the client does not want the rest
                    self.wfile.write(body)
                if status == "stall":
                    server.over.wait(5)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_address[1]}"


@pytest.fixture
def server(monkeypatch, no_network):
    server = Server()
    server.thread.start()
    monkeypatch.setattr(_movielens, "ARCHIVE_URL", server.url + "/ml-{variant}.zip")
    monkeypatch.setattr(_movielens, "MD5", {variant: md5(data) for variant, data in ARCHIVES.items()})
    yield server
    server.over.set()
    server.http.shutdown()
    server.http.server_close()
    server.thread.join()


@pytest.mark.parametrize("variant", FILES)
def test_a_download_is_kept_and_the_second_call_makes_no_request(tmp_path, server, variant):
    server.answers[f"/ml-{variant}.zip"] = [(200, ARCHIVES[variant])]
    first = fetch_movielens(variant, data_home=tmp_path / "new" / "home")
    assert server.requests == [f"/ml-{variant}.zip"]
    assert files_below(tmp_path) == [f"new/home/movielens/ml-{variant}.zip"]
    second = fetch_movielens(variant, data_home=tmp_path / "new" / "home")
    assert len(server.requests) == 1
    np.testing.assert_array_equal(first.data, second.data)


def test_the_default_folder_is_that_of_scikit_learn(tmp_path, server, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    server.answers["/ml-latest-small.zip"] = [(200, ARCHIVES["latest-small"])]
    fetch_movielens()
    assert files_below(tmp_path) == ["movielens/ml-latest-small.zip"]


def test_without_a_length_announced(tmp_path, server):
    server.answers["/ml-1m.zip"] = [(200, ARCHIVES["1m"], None)]
    assert len(fetch_movielens("1m", data_home=tmp_path).target) == 3


def test_missing_data_are_not_downloaded_unless_asked(tmp_path, server):
    with pytest.raises(
        OSError, match=r"`download_if_missing` is False: .* have neither ml-1m.zip nor a folder ml-1m"
    ) as error:
        fetch_movielens("1m", data_home=tmp_path, download_if_missing=False)
    assert str(tmp_path / "movielens") in str(error.value)
    assert server.requests == []


def test_a_download_cut_short_is_tried_again(tmp_path, server):
    whole = ARCHIVES["1m"]
    server.answers["/ml-1m.zip"] = [(200, whole[:100], len(whole)), (200, whole)]
    with pytest.warns(UserWarning, match=r"Retry downloading from url: http.*ml-1m.zip .*(100 of|100 bytes)") as warned:
        fetch_movielens("1m", data_home=tmp_path, delay=0)
    assert warned[0].filename == __file__
    assert len(server.requests) == 2
    assert (tmp_path / "movielens" / "ml-1m.zip").read_bytes() == whole  # nothing of the first attempt
    assert files_below(tmp_path) == ["movielens/ml-1m.zip"]


def test_a_download_cut_short_is_noticed_without_a_length_too(tmp_path, server, monkeypatch):
    for variant, checksums in (("1m", _movielens.MD5), ("25m", {})):
        monkeypatch.setattr(_movielens, "MD5", checksums)
        whole = ARCHIVES[variant]
        server.answers[f"/ml-{variant}.zip.md5"] = [(200, md5(whole).encode())]
        server.answers[f"/ml-{variant}.zip"] = [(200, whole[:100], None), (200, whole, None)]
        with pytest.warns(
            UserWarning, match=r"Retry downloading .*100 bytes came, which are not a complete zip archive"
        ):
            fetch_movielens(variant, data_home=tmp_path, delay=0)
        assert (tmp_path / "movielens" / f"ml-{variant}.zip").read_bytes() == whole


def test_a_server_that_stalls_within_the_body_is_tried_again(tmp_path, server, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT", 0.2)
    monkeypatch.setattr(_download, "_BLOCK_BYTES", 64)  # so that some of it is written
    whole = ARCHIVES["1m"]
    half = b"x" * (len(whole) + 1000)  # longer than what comes next: what stays of it would be seen
    server.answers["/ml-1m.zip"] = [("stall", half, 2 * len(half)), (200, whole)]
    with pytest.warns(UserWarning, match=r"Retry downloading from url: http.*ml-1m.zip .*timed out") as warned:
        assert len(fetch_movielens("1m", data_home=tmp_path, delay=0).target) == 3
    assert len(warned) == 1
    assert len(server.requests) == 2
    assert (tmp_path / "movielens" / "ml-1m.zip").read_bytes() == whole
    assert files_below(tmp_path) == ["movielens/ml-1m.zip"]


def test_a_server_that_always_stalls_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT", 0.2)
    server.answers["/ml-1m.zip"] = [("stall", ARCHIVES["1m"][:100], len(ARCHIVES["1m"]))]
    with pytest.raises(OSError, match=r"in 1 attempts: .*timed out"):
        fetch_movielens("1m", data_home=tmp_path, n_retries=0)
    assert files_below(tmp_path) == []


def test_a_download_always_cut_short_fails_and_leaves_nothing(tmp_path, server):
    server.answers["/ml-1m.zip"] = [(200, ARCHIVES["1m"][:100], 10_000)]
    with (
        pytest.warns(UserWarning, match="Retry"),
        pytest.raises(OSError, match=r"could not be downloaded in 3 attempts: .*100.*put it into .*movielens"),
    ):
        fetch_movielens("1m", data_home=tmp_path, n_retries=2, delay=0)
    assert len(server.requests) == 3
    assert files_below(tmp_path) == []


def test_a_wrong_checksum_says_expected_and_found(tmp_path, server):
    other = zipped({"ml-1m/ratings.dat": b"1::2::3::4\n"})
    server.answers["/ml-1m.zip"] = [(200, other)]
    expected = f"expected the MD5 checksum {md5(ARCHIVES['1m'])}, found {md5(other)}. The file was removed. Try again"
    with pytest.raises(OSError, match=expected):
        fetch_movielens("1m", data_home=tmp_path)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == []


def test_more_bytes_than_announced_are_a_wrong_checksum(tmp_path, server):
    server.answers["/ml-1m.zip"] = [(200, ARCHIVES["1m"], len(ARCHIVES["1m"]) - 1)]
    with pytest.raises(OSError, match="expected the MD5 checksum"):
        fetch_movielens("1m", data_home=tmp_path)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("length", ["abc", "-5", "1.5", "", "9" * 5000, "0x10", "²"])
def test_a_length_that_is_no_number_is_an_oserror(tmp_path, server, length):
    server.answers["/ml-1m.zip"] = [(200, ARCHIVES["1m"], length)]
    with (
        pytest.warns(UserWarning, match="Retry"),
        pytest.raises(OSError, match=r"in 2 attempts: .*the server announces '") as error,
    ):
        fetch_movielens("1m", data_home=tmp_path, n_retries=1, delay=0)
    assert len(str(error.value)) < 1000
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("variant", ["1m", "latest-small"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_download_has_a_largest_size(tmp_path, server, monkeypatch, variant, announced):
    monkeypatch.setattr(_download, "_BLOCK_BYTES", 2**16)
    limit = 2 * _movielens.LAYOUTS[variant].archive_bytes
    body = b"x" * (limit + 2**17)
    server.answers[f"/ml-{variant}.zip"] = [(200, body) if announced else (200, body, None)]
    with pytest.raises(OSError, match=rf"ml-{variant}.zip sends more than {limit / 1e6:.0f} MB"):
        fetch_movielens(variant, data_home=tmp_path)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_archive_is_not_kept(tmp_path, server, monkeypatch, kind):
    for checksums in ({"1m": md5(BROKEN[kind])}, {}):  # of the publisher, or none
        monkeypatch.setattr(_movielens, "MD5", checksums)
        server.answers["/ml-1m.zip.md5"] = [(200, md5(BROKEN[kind]).encode())]
        server.answers["/ml-1m.zip"] = [(200, BROKEN[kind])]
        with pytest.raises(OSError, match=r"ml-1m.zip"):
            fetch_movielens("1m", data_home=tmp_path, n_retries=0)
        assert files_below(tmp_path) == []
    server.answers["/ml-1m.zip"] = [(200, ARCHIVES["1m"])]
    monkeypatch.setattr(_movielens, "MD5", {"1m": md5(ARCHIVES["1m"])})
    assert len(fetch_movielens("1m", data_home=tmp_path).target) == 3


def test_an_archive_with_a_wrong_line_is_not_kept(tmp_path, server, monkeypatch):
    other = zipped({**FILES["1m"], "ml-1m/ratings.dat": b"1::2::x::4\n"})
    monkeypatch.setattr(_movielens, "MD5", {"1m": md5(other)})
    server.answers["/ml-1m.zip"] = [(200, other)]
    with pytest.raises(ValueError, match="line 1"):
        fetch_movielens("1m", data_home=tmp_path)
    assert files_below(tmp_path) == []


TARGETS = [
    "http://{host}/other.zip",
    "https://example.invalid/ml-1m.zip",
    "https://{host}.example.invalid/ml-1m.zip",
    "https://grouplens.org@example.invalid/ml-1m.zip",
    "ftp://{host}/ml-1m.zip",
    "file:///etc/hostname",
    "/other.zip",
    "https://[bad/",
    "https://" + "y" * 50_000,
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirects_lead_to_https_on_known_hosts_only(tmp_path, server, target, code):
    server.answers["/other.zip"] = [(200, ARCHIVES["1m"])]
    server.answers["/ml-1m.zip"] = [((code, target.format(host=server.url.removeprefix("http://"))), b"")]
    with pytest.raises(OSError, match=r"ml-1m.zip cannot be downloaded: ") as error:
        fetch_movielens("1m", data_home=tmp_path)
    assert server.requests == ["/ml-1m.zip"]
    assert len(str(error.value)) < 1000
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "files.grouplens.org", "grouplens.org"])
def test_redirects_to_https_on_known_hosts_are_followed(host):
    request = _download.Request("http://127.0.0.1/ml-1m.zip")
    handler = _download._GuardedRedirects()
    new = handler.redirect_request(request, None, 302, "Found", {}, f"https://{host}/x.zip")
    assert new.full_url == f"https://{host}/x.zip"


@pytest.mark.parametrize("status", [403, 404])
def test_what_the_server_refuses_is_not_asked_again(tmp_path, server, status):
    server.answers["/ml-25m.zip"] = [(status, b"")]
    with pytest.raises(OSError, match=rf"{server.url}/ml-25m.zip cannot be downloaded: the server answers {status}"):
        fetch_movielens("25m", data_home=tmp_path)
    assert len(server.requests) == 1
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("statuses", [(500, 503), (408, 429)])
def test_a_server_that_may_answer_later_is_tried_again(tmp_path, server, statuses):
    server.answers["/ml-1m.zip"] = [*((status, b"") for status in statuses), (200, ARCHIVES["1m"])]
    with pytest.warns(UserWarning, match="Retry") as warned:
        assert len(fetch_movielens("1m", data_home=tmp_path, delay=0).target) == 3
    assert len(warned) == 2
    assert len(server.requests) == 3


def test_the_delay_is_waited_between_attempts(tmp_path, server, monkeypatch):
    waited = []
    monkeypatch.setattr(_download.time, "sleep", waited.append)
    server.answers["/ml-1m.zip"] = [(500, b"")]
    with pytest.warns(UserWarning, match="Retry"), pytest.raises(OSError, match="in 3 attempts: HTTP Error 500"):
        fetch_movielens("1m", data_home=tmp_path, n_retries=2, delay=7.5)
    assert waited == [7.5, 7.5]


def test_a_silent_server_is_given_up(tmp_path, server, monkeypatch):
    monkeypatch.setattr(_download, "TIMEOUT", 0.2)
    server.answers["/ml-1m.zip"] = ["silence"]
    with pytest.warns(UserWarning, match="Retry"), pytest.raises(OSError, match=r"in 2 attempts: .*timed out"):
        fetch_movielens("1m", data_home=tmp_path, n_retries=1, delay=0)
    assert len(server.requests) == 2
    assert files_below(tmp_path) == []


def test_nobody_at_the_address(tmp_path):
    with pytest.raises(OSError, match=r"could not be downloaded in 1 attempts"):
        fetch_movielens("1m", data_home=tmp_path, n_retries=0)


def test_an_interrupt_leaves_nothing(tmp_path, server, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(_download, "_copy_archive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_movielens("1m", data_home=tmp_path)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("form", ["MD5 (ml-latest-small.zip) = {}\n", "{}  ml-latest-small.zip\n"])
def test_without_a_fixed_checksum_that_of_the_publisher_is_fetched(tmp_path, server, monkeypatch, form):
    monkeypatch.setattr(_movielens, "MD5", {})
    whole = ARCHIVES["latest-small"]
    server.answers["/ml-latest-small.zip"] = [(200, whole)]
    server.answers["/ml-latest-small.zip.md5"] = [
        (200, form.format("0" * 32).encode()),
        (200, form.format(md5(whole).upper()).encode()),
    ]
    with pytest.raises(OSError, match=f"expected the MD5 checksum {'0' * 32}, found {md5(whole)}"):
        fetch_movielens(data_home=tmp_path)
    assert len(fetch_movielens(data_home=tmp_path).target) == 4
    assert server.requests == ["/ml-latest-small.zip.md5", "/ml-latest-small.zip"] * 2


PAGE = b"<!doctype html><title>Not here</title><script src='/5d41402abc4b2a76b9719d911017c592.js'></script>"


@pytest.mark.parametrize("answer", [(404, b""), (403, b""), (500, b""), (200, PAGE), (200, b""), (200, b"\xff\xfe")])
def test_what_is_no_checksum_does_not_stop_the_download(tmp_path, server, monkeypatch, answer):
    monkeypatch.setattr(_movielens, "MD5", {})
    server.answers["/ml-latest-small.zip.md5"] = [answer]
    server.answers["/ml-latest-small.zip"] = [(200, ARCHIVES["latest-small"])]
    with pytest.warns(UserWarning, match=r"zip\.md5 .*\. The archive is not compared with a checksum\.$") as warned:
        assert len(fetch_movielens(data_home=tmp_path, n_retries=0).target) == 4
    assert len(warned) == 1
    assert warned[0].filename == __file__
    assert "put it into" not in str(warned[0].message)
    assert files_below(tmp_path) == ["movielens/ml-latest-small.zip"]


def test_a_silent_server_of_checksums_does_not_stop_the_download(tmp_path, server, monkeypatch):
    monkeypatch.setattr(_movielens, "MD5", {})
    monkeypatch.setattr(_download, "TIMEOUT", 0.2)
    server.answers["/ml-latest-small.zip.md5"] = ["silence"]
    server.answers["/ml-latest-small.zip"] = [(200, ARCHIVES["latest-small"])]
    with pytest.warns(UserWarning, match="timed out") as warned:
        assert len(fetch_movielens(data_home=tmp_path, n_retries=1, delay=0).target) == 4
    assert ["Retry" in str(warning.message) for warning in warned] == [True, False]
    assert "not compared" in str(warned[1].message)


def test_without_any_checksum_it_must_still_be_an_archive(tmp_path, server, monkeypatch):
    monkeypatch.setattr(_movielens, "MD5", {})
    server.answers["/ml-latest-small.zip"] = [(200, b"<html>Please log in</html>"), (200, ARCHIVES["latest-small"])]
    with (
        pytest.warns(UserWarning, match="not compared"),
        pytest.raises(OSError, match=r"The answer of http.*ml-latest-small.zip is not a zip archive"),
    ):
        fetch_movielens(data_home=tmp_path)
    assert files_below(tmp_path) == []
    with pytest.warns(UserWarning, match="not compared"):
        assert len(fetch_movielens(data_home=tmp_path).target) == 4


def test_only_checksums_that_the_publisher_is_quoted_for_are_fixed():
    assert set(_movielens.MD5) == {"100k", "1m", "20m", "25m"}
    assert all(len(value) == 32 and int(value, 16) for value in _movielens.MD5.values())
