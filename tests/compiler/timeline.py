"""What vtac time --trace and --svg write, read by other parsers than ours.

usage: timeline.py VTAC

A short program and one of thousands of instructions. The trace must be what viewers expect: slices
of a track do not overlap, every arrow has both ends, counters are never negative. The picture must
be well-formed XML that stays inside its page, with every part in it.
"""
import collections
import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

SVG = "{http://www.w3.org/2000/svg}"
PARTS = ("What each unit did", "Critical path", "Timeline", "Roofline", "load", "compute", "store",
         "memory port", "operations per byte moved")


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("%s: status %d\n%s" % (" ".join(words), done.returncode, done.stderr))
    return done.stdout


def ns(microseconds):
    return round(microseconds * 1000)


def check_trace(path, instructions):
    with open(path, encoding="utf-8") as file:
        events = json.load(file)["traceEvents"]
    by_phase = collections.defaultdict(list)
    for event in events:
        by_phase[event["ph"]].append(event)
    assert set(by_phase) == {"M", "X", "s", "f", "C"}, set(by_phase)

    tracks = {event["tid"]: event["args"]["name"]
              for event in by_phase["M"] if event["name"] == "thread_name"}
    assert sorted(tracks.values()) == ["compute", "fetch", "load", "store"], tracks
    slices = collections.defaultdict(list)
    for event in by_phase["X"]:
        assert event["dur"] >= 0
        slices[event["tid"]].append((ns(event["ts"]), ns(event["ts"]) + ns(event["dur"])))
    assert set(slices) <= set(tracks)
    for track, spans in slices.items():
        spans.sort()
        for (_, end), (begin, _) in zip(spans, spans[1:]):
            assert end <= begin, "slices of %s overlap at %d ns" % (tracks[track], begin)
    executed = [event for event in by_phase["X"] if event["cat"] == "insn"]
    assert sorted(event["args"]["insn"] for event in executed) == list(range(instructions))

    ends = {event["id"]: event for event in by_phase["f"]}
    assert len(by_phase["s"]) == len(by_phase["f"]) == len(ends) > 0
    for start in by_phase["s"]:
        end = ends[start["id"]]
        assert start["name"] == end["name"] and start["tid"] != end["tid"]
        assert ns(start["ts"]) <= ns(end["ts"])
        for edge in (start, end):
            assert any(begin <= ns(edge["ts"]) <= until
                       for begin, until in slices[edge["tid"]]), "an arrow ends outside a slice"

    counters = collections.defaultdict(int)
    for event in by_phase["C"]:
        (value,) = event["args"].values()
        assert value >= 0, event
        counters[event["name"]] = max(value, counters[event["name"]])
    assert len(counters) == 8, sorted(counters)
    assert 0 < counters["memory port"] <= 110, counters["memory port"]


def check_picture(path, instructions):
    root = ElementTree.parse(path).getroot()
    assert root.tag == SVG + "svg"
    width, height = float(root.get("width")), float(root.get("height"))
    texts = ["".join(text.itertext()) for text in root.iter(SVG + "text")]
    for part in PARTS:
        assert part in texts, "no '%s' in %s" % (part, path)
    assert any("Gop/s" in text for text in texts)
    for text in root.iter(SVG + "text"):
        assert 0 <= float(text.get("x")) <= width and 0 <= float(text.get("y")) <= height
    for rect in root.iter(SVG + "rect"):
        x, y = float(rect.get("x")), float(rect.get("y"))
        assert x >= 0 and x + float(rect.get("width")) <= width + 1, rect.attrib
        assert y >= 0 and y + float(rect.get("height")) <= height + 1, rect.attrib
    drawn = len(list(root.iter(SVG + "title")))
    assert drawn == (instructions if instructions <= 300 else 0), drawn
    assert len(list(root.iter())) < 4000, "too much to draw"


def main():
    vtac = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        for name, size, block in (("short", 256, "1,256,256"), ("long", 2048, "1,64,64")):
            module, trace, svg = (folder + "/" + name + end for end in (".vta", ".json", ".svg"))
            run(vtac, "matmul", "--in", str(size), "--out", str(size), "--block", block, "--shift",
                "8", "--name", "a<b>&c", "-o", module)
            shown = json.loads(run(vtac, "show", "--json", module))
            instructions = shown["functions"][0]["instructions"]
            run(vtac, "time", "--trace", trace, "--svg", svg, module)
            check_trace(trace, instructions)
            check_picture(svg, instructions)
            print("%s: %d instructions" % (name, instructions))


if __name__ == "__main__":
    main()
