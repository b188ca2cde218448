"""tinyhpe live: who may ask the server, how much, and how long; and the page in a real browser, with a pretended
camera that shows a drawn head."""

import http.client
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tinyhpe import cli, methods
from tinyhpe.errors import InputError
from tinyhpe.heads import render_head
from tinyhpe.live import answers, server
from tinyhpe.pose.angles import euler_to_matrix, geodesic
from tinyhpe.prediction import predict_heads

POSE = (35, -12, 15)  # of the head before the camera: no two axes alike, nothing that its mirror image has, too


def jpeg(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def frame():
    """A frame of a camera, 640 x 480: a head with that pose."""
    head = render_head(52, 480, POSE, margin=0.9).image
    return jpeg(np.pad(head, ((0, 0), (80, 80), (0, 0)), mode="edge"))


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server whose own model is in an empty folder."""
    with server.Server(0, answers.Answers()) as running:
        running.answers.own = tmp_path_factory.mktemp("own")
        threading.Thread(target=running.serve_forever, args=[0.05], daemon=True).start()
        yield running
        running.shutdown()


def ask(live, method="GET", path="/", body=None, headers=(), timeout=20):
    """The status of an answer, its headers and its content; "host" among the headers replaces ours."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=timeout)
    try:
        connection.putrequest(method, path, skip_host=True)
        sent = {"host": live.hosts[0], **({} if body is None else {"content-length": len(body)}), **dict(headers)}
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_a_frame_is_answered_with_the_poses_that_predict_tells(live, frame):
    status, _, content = ask(live, "POST", "/pose", frame, {"origin": f"http://{live.hosts[1]}"})
    expected = predict_heads(Image.open(io.BytesIO(frame)))
    assert status == 200
    assert [tuple(head.values()) for head in json.loads(content)["heads"]] == [
        (*head[:3], list(head.box)) for head in expected
    ]


def test_ones_own_network_is_read_when_it_is_there_and_again_when_it_changes(live, frame):
    def told():
        status, _, content = ask(live, "POST", "/pose?model=own", frame)
        return content.decode() if status == 400 else json.loads(content)["heads"][0]["yaw"]

    assert "there is no network in" in told()
    path, yaws = live.answers.own / "model.safetensors", []
    for shift in 0, 20:
        model = methods.load_model()
        model.backbone.fc.bias.data[:] += shift / 10
        methods.save_model(path, model, model.description)
        yaws.append(told())
        assert yaws[-1] == predict_heads(Image.open(io.BytesIO(frame)), model=model)[0].yaw
    assert yaws[0] != yaws[1]
    path.write_bytes(path.read_bytes()[:1000])
    assert "not a complete safetensors file" in told()


BROKEN = {
    "nothing": b"",
    "no picture": b"<html>" * 50,
    "not of a JPEG": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "cut": jpeg(np.zeros((90, 90, 3), np.uint8))[:-99],
    "of too few pixels": jpeg(np.zeros((9, 9, 3), np.uint8)),
    "of too many pixels": jpeg(np.zeros((2001, 2000, 3), np.uint8)),
    "of many scans, each of which takes time": jpeg(np.zeros((90, 90, 3), np.uint8), progressive=True),
    "said to be of 4 billion pixels": jpeg(np.zeros((90, 90, 3), np.uint8)).replace(b"\0\x5a\0\x5a", b"\xff" * 4),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_frame_is_refused_in_one_line(live, kind):
    status, _, content = ask(live, "POST", "/pose", BROKEN[kind])
    assert status == 400
    assert content.count(b"\n") == 1


REFUSED = {
    "the name of another host, which points here": (403, "GET", "/", {"host": "evil.example:8469"}),
    "no name of a host": (403, "GET", "/", {"host": None}),
    "another port": (403, "GET", "/", {"host": "localhost:1"}),
    "a page of another site": (403, "POST", "/pose", {"origin": "https://evil.example", "content-length": 0}),
    "a page without a name": (403, "POST", "/pose", {"origin": "null", "content-length": 0}),
    "no length": (411, "POST", "/pose", {}),
    "chunks": (411, "POST", "/pose", {"transfer-encoding": "chunked", "content-length": 3}),
    "a negative length": (411, "POST", "/pose", {"content-length": -1}),
    "too much": (413, "POST", "/pose", {"content-length": server.MOST_BYTES + 1}),
    "an endless length": (400, "POST", "/pose", {"content-length": "9" * 5000}),
    "a file of the machine": (404, "GET", "/../../../etc/passwd", {}),
    "the same, encoded": (404, "GET", "/%2e%2e/%2e%2e/etc/passwd", {}),
    "a file of ours": (404, "GET", "/server.py", {}),
    "no address": (400, "GET", "http://[", {}),
    "a method that we do not have": (501, "DELETE", "/", {}),
    "a head that is not turned": (400, "GET", "/head?seed=1", {}),
    "a head that is turned by NaN": (400, "GET", "/head?seed=1&yaw=0&pitch=nan&roll=0", {}),
    "nobody's head": (400, "GET", "/head?seed=-1&yaw=0&pitch=0&roll=0", {}),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_who_may_not_ask_or_asks_too_much_gets_one_line(live, kind, capfd):
    expected, method, path, headers = REFUSED[kind]
    status, _, content = ask(live, method, path, headers=headers)
    assert status == expected
    assert content.count(b"\n") == 1
    assert content.decode().strip().isprintable()
    assert capfd.readouterr() == ("", "")


def test_a_connection_is_kept_but_what_follows_a_refused_request_is_none(live, frame):
    connection = http.client.HTTPConnection(*live.hosts[0].split(":"), timeout=20)
    for _ in range(2):
        connection.request("POST", "/pose", frame)
        assert json.loads(connection.getresponse().read())["heads"]
        assert connection.sock  # http.client would have closed it
    connection.close()
    with socket.create_connection(("127.0.0.1", live.port), timeout=20) as client:
        head = f"Host: {live.hosts[0]}\r\n\r\n".encode()
        client.sendall(b"POST /pose HTTP/1.1\r\n" + head + b"GET /models HTTP/1.1\r\n" + head)
        assert client.makefile("rb").read().count(b"HTTP/1.1 ") == 1


def test_the_page_may_run_what_is_in_it_and_ask_nobody_else(live):
    status, headers, content = ask(live)
    assert (status, content) == (200, answers.PAGE)
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert b"http" not in content.replace(b"http://localhost:${location.port}", b"")  # no address of others


def test_a_drawn_head_is_the_one_that_was_asked_for(live):
    status, headers, content = ask(live, path="/head?seed=3&yaw=20&pitch=-5&roll=10.04")
    drawn = np.asarray(Image.open(io.BytesIO(content)), float)
    expected = render_head(3, answers.HEAD_SIDE, (20, -5, 10), answers.HEAD_MARGIN).image
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert np.abs(drawn - expected).mean() < 8


def test_clients_that_are_slow_or_break_off_keep_nobody_waiting(live, frame, capfd):
    begun = b"POST /pose HTTP/1.1\r\nHost: %s\r\nContent-Length: 100000\r\n\r\nhalf" % live.hosts[0].encode()
    slow = [
        socket.create_connection(("127.0.0.1", live.port), timeout=20) for _ in range(2 * server.MOST_CONNECTIONS)
    ]
    for number, connection in enumerate(slow):
        connection.sendall((b"", b"GET", begun)[number % 3])
    assert ask(live, "POST", "/pose", frame)[0] == 200
    assert len(live.deadlines) <= server.MOST_CONNECTIONS
    for connection in list(live.deadlines):  # ten seconds later
        live.deadlines[connection] = 0
    for connection in slow:
        connection.recv(1000)  # an answer, or the end; it does not come to the time-out
        connection.close()
    deadline = time.monotonic() + 20
    while threading.active_count() > 10 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() < 10
    assert capfd.readouterr() == ("", "")


def test_one_works_the_newest_waits_and_who_came_between_is_told_so():
    turns, order = answers.Turns(), []

    def work(name, may_end):
        try:
            with turns.take():
                order.append(name)
                may_end.wait(20)
        except answers.Refused as refused:
            order.append(f"{name}: {refused.status}")

    may_end, threads = threading.Event(), []
    for number, name in enumerate(("first", "second", "third"), 1):
        threads.append(threading.Thread(target=work, args=(name, may_end)))
        threads[-1].start()
        while turns.newest < number or (name == "first" and not order):
            time.sleep(0.001)
    threads[1].join(20)
    assert order == ["first", "second: 503"]
    may_end.set()
    threads[2].join(20)
    assert order[2:] == ["third"]


def test_a_port_that_is_taken_is_said_or_the_next_one_is_used(live, monkeypatch, capsys):
    assert cli.main(["live", "--port", str(live.port), "--no-browser"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"cannot listen at port {live.port}: " in error
    assert "--port" in error
    monkeypatch.setattr(server, "PORT", live.port)
    with server.open_server(None, live.answers) as second:
        assert live.port < second.port < live.port + server.PORTS
    monkeypatch.setattr(server, "PORTS", 1)
    with pytest.raises(InputError, match="choose another"):
        server.open_server(None, live.answers)
    assert cli.main(["live", "--port", "65536"]) == 2
    assert "cannot listen at port 65536: " in capsys.readouterr().err
    assert cli.main(["live", "--model", "nowhere"]) == 2
    assert "there is no network in nowhere" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a process")
def test_the_command_says_where_the_page_is_and_ctrl_c_ends_it_quietly_and_at_once():
    command = [sys.executable, "-W", "error", "-m", "tinyhpe", "live", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        assert lines[0].startswith("http://localhost:")
        assert "Browsers give the camera" in lines[1]
        port = int(lines[0].split()[0].rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):  # somebody who is connected does not delay it
            process.send_signal(signal.SIGINT)
            begin = time.monotonic()
            rest, _ = process.communicate(timeout=20)
        assert (process.returncode, rest) == (0, "")
        assert time.monotonic() - begin < 5  # one on a machine that does nothing else


# ---------------------------------------------------------------------------------------------- in a real browser


@pytest.fixture
def browser(tmp_path, frame):
    """Chromium whose camera shows the frame."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    if chromium is None:
        pytest.skip("needs Chromium")
    (tmp_path / "camera.mjpeg").write_bytes(frame * 2)
    camera = ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream", "no-sandbox")
    options = [f"--{name}" for name in camera]
    options.append(f"--use-file-for-fake-video-capture={tmp_path / 'camera.mjpeg'}")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=options)
        yield browser
        browser.close()


def open_page(browser, live, path="", script="", **options):
    """A page of ours, and a list where what it does wrong is noted."""
    page, wrong = browser.new_context(**options).new_page(), []
    page.on("request", lambda r: r.url.startswith(f"http://{live.hosts[0]}/") or wrong.append(r.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.add_init_script(script)
    page.goto(f"http://{live.hosts[0]}/{path}")
    return page, wrong


def until(condition, seconds=20):
    """Wait until the condition gives something, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found


def shows(page, pose):
    """Whether the page's numbers are a pose, about; None: whether they are none."""
    texts = [page.text_content(f"#{angle}") for angle in ("yaw", "pitch", "roll")]
    if "\u2013" in texts or pose is None:
        return pose is None and set(texts) == {"\u2013"}
    return np.allclose([float(text.replace("\u2212", "-").rstrip("°")) for text in texts], pose, atol=12)


def test_the_page_shows_the_pose_of_the_head_before_the_camera_mirrored_or_not(
    browser, live, monkeypatch, tmp_path
):
    monkeypatch.setattr(live.answers, "own", tmp_path)
    page, wrong = open_page(browser, live, color_scheme="dark", viewport={"width": 390, "height": 844})
    assert shows(page, None)  # it begins at a click
    page.click("#camera")
    until(lambda: shows(page, POSE))
    assert "mirrored" in page.get_attribute("#stage", "class")
    page.click("#mirror")
    assert "mirrored" not in page.get_attribute("#stage", "class")
    page.evaluate("heads = []")
    until(lambda: shows(page, POSE))
    until(lambda: "frames/s" in page.text_content("#rate"))
    page.click("#game")
    until(lambda: "° off" in page.text_content("#off") or page.text_content("#off") == "hold it")
    page.click("#game")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("[name=model][value=own]")
    assert "there is no network in" in until(lambda: page.text_content("#said"))
    assert shows(page, None)
    page.click("#camera")
    assert page.evaluate("video.srcObject") is None
    assert [text for text in wrong if "400" not in text] == []  # of the network that is not there


WALL = jpeg(np.full((240, 320, 3), 128, np.uint8))
NO_CAMERA = "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotFoundError') }"


def test_without_a_camera_the_page_says_so_and_takes_a_photo_or_turns_a_drawn_head(browser, live, frame):
    page, wrong = open_page(browser, live, "?sim", NO_CAMERA)
    until(lambda: float((page.text_content("#truth") or "99° off").split()[-2].rstrip("°")) < 15)
    page.click("#camera")
    assert "There is no camera here. A photo" in until(lambda: page.text_content("#said"))
    page.set_input_files("#photo", {"name": "head.jpg", "mimeType": "image/jpeg", "buffer": frame})
    until(lambda: page.evaluate("Boolean(source.photo && source.done)"))
    until(lambda: shows(page, POSE))
    page.set_input_files("#photo", {"name": "wall.jpg", "mimeType": "image/jpeg", "buffer": WALL})
    until(lambda: page.text_content("#said") == "No head." and shows(page, None))
    page.set_input_files("#photo", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no photo"})
    assert "notes.txt is no picture" in until(lambda: page.text_content("#said"))

    poses = np.random.default_rng(0).uniform(-89, 89, (20, 3))  # the page's arithmetic is ours
    tell = (
        "poses => poses.map(p => [toMatrix(toTurn(p)), toPose(toTurn(p)), geodesic(toTurn(p), toTurn(poses[0]))])"
    )
    matrices, back, between = zip(*page.evaluate(tell, poses.tolist()), strict=True)
    np.testing.assert_allclose(matrices, euler_to_matrix(poses), atol=1e-12)
    np.testing.assert_allclose(back, poses, atol=1e-9)
    np.testing.assert_allclose(between, geodesic(poses, poses[0]), atol=1e-5)

    left, right = (
        {"yaw": 40 * side, "pitch": 0, "roll": 0, "box": [200 * side, 0, 90 - side, 90]} for side in (-1, 1)
    )
    followed, later, latest = page.evaluate(
        """([left, right]) => {
            look(null); follow([left, right], 640, 1000); follow([right, left], 640, 1050);
            const kept = (now) => { follow([], 640, now); return heads.length; };
            return [heads.map((head) => toPose(head.turn)[0]), kept(1449), kept(1451)];
        }""",
        [left, right],
    )
    np.testing.assert_allclose(followed, (-40, 40))  # the larger is the first; neither was taken for the other
    assert (later, latest) == (2, 0)

    time_of = np.arange(60) / 20  # three seconds: at rest, then turning
    rest = 0.01 * np.random.default_rng(1).normal(size=60)
    turning = 0.5 * time_of
    smooth = "series => { const f = new OneEuro(.7, 12); return series.map(([t, v]) => f.next([v], t)[0]) }"
    at_rest, in_motion = (page.evaluate(smooth, np.stack([time_of, raw], 1).tolist()) for raw in (rest, turning))
    assert np.std(at_rest[20:]) < 0.5 * np.std(rest[20:])
    assert 0 < turning[-1] - in_motion[-1] < 0.5 * 0.05  # late by less than a frame
    assert wrong == []
