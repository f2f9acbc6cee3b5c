#!/usr/bin/python3
"""Compiles image_sample.c for every machine in every way that is worth a test, links some of it to
shared libraries, and writes a manifest: a line "machine name imports file…" for each module, and "#
reason" for what is lacking. Assembles and links image_relocations.S.
usage: image_samples.py SOURCE RELOCATIONS FOLDER MANIFEST"""
import itertools
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ARM = ["-target", "armv7-linux-gnueabihf", "-mfpu=neon", "-mfloat-abi=hard"]
CLANG = {
    "arm": ARM,
    "thumb": ARM + ["-mthumb"],
    "aarch64": ["-target", "aarch64-linux-gnu"],
    "x86_64": ["-target", "x86_64-linux-gnu"],
}
GCC = {
    "arm": ["arm-linux-gnueabihf-gcc", "-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard", "-marm"],
    "thumb": ["arm-linux-gnueabihf-gcc", "-march=armv7-a", "-mfpu=neon", "-mfloat-abi=hard", "-mthumb"],
    "aarch64": ["aarch64-linux-gnu-gcc"],
    "x86_64": ["x86_64-linux-gnu-gcc"],
}
PLAIN = ["-std=gnu11", "-c", "-ffreestanding", "-fno-stack-protector", "-fno-math-errno", "-w"]
PIC = {"pic": ["-fPIC"], "plain": ["-fno-pic"]}
LEVELS = ("-O0", "-O1", "-O2", "-O3", "-Os")
MORE = {
    "sections": ["-O2", "-ffunction-sections", "-fdata-sections", "-fno-pic"],
    "sections-pic": ["-O1", "-ffunction-sections", "-fdata-sections", "-fPIC"],
    "common": ["-O1", "-fcommon", "-DCOMMON", "-fno-pic"],
    "common-pic": ["-Os", "-fcommon", "-DCOMMON", "-fPIC"],
    "pie": ["-O2", "-fPIE"],
}
ONLY = {
    ("clang", "x86_64"): {"large": ["-O2", "-mcmodel=large", "-fno-pic"],
                          "large-pic": ["-O1", "-mcmodel=large", "-fPIC"],
                          "no-plt": ["-O2", "-fno-plt", "-fPIC"],
                          "no-relax": ["-O2", "-Wa,-mrelax-relocations=no", "-fPIC"]},
    ("gcc", "x86_64"): {"large": ["-O2", "-mcmodel=large", "-fno-pic"],
                        "large-pic": ["-O1", "-mcmodel=large", "-fPIC"],
                        "medium": ["-O1", "-mcmodel=medium", "-fno-pic"],
                        "no-plt": ["-O2", "-fno-plt", "-fPIC"]},
    ("clang", "aarch64"): {"large": ["-O2", "-mcmodel=large", "-fno-pic"]},
    ("gcc", "aarch64"): {"large": ["-O2", "-mcmodel=large", "-fno-pic"],
                         "small-pic": ["-O2", "-fpic"]},
    ("clang", "arm"): {"long-calls": ["-O2", "-mlong-calls", "-fno-pic"],
                       "no-movt": ["-O2", "-mno-movt", "-fno-pic"]},
    ("gcc", "arm"): {"word-relocations": ["-O2", "-mword-relocations", "-fno-pic"]},
}
LINKS = {
    "linked": [],
    "stripped": ["--strip-all", "--hash-style=gnu"],
    "relr": ["--pack-dyn-relocs=relr", "--hash-style=sysv"],
    "symbolic": ["-Bsymbolic", "-z", "norelro", "-z", "now"],
}


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout}")


def compile_parts(compiler, source, folder, name, options):
    files = []
    for part in (1, 2):
        files.append(f"{name}.{part}.o")
        run([*compiler, *PLAIN, *options, f"-DPART={part}", source, "-o", os.path.join(folder, files[-1])])
    return files


def variants(family, machine):
    for level, (kind, options) in itertools.product(LEVELS, PIC.items()):
        yield f"{kind}{level}", [level, *options]
    yield from {**MORE, **ONLY.get((family, machine), {})}.items()


def needs_near_data(machine, options):
    """Without a GOT, 64-bit code reaches no variable that is far away."""
    return machine in ("x86_64", "aarch64") and "-fPIC" not in options and "-mcmodel=large" not in options


def make(job):
    family, compiler, machine, name, options, source, folder = job
    wide = f"{family}-{machine}-{name}"
    if needs_near_data(machine, options):
        options = [*options, "-DNO_IMPORTED_DATA"]
    return machine, wide, compile_parts(compiler, source, folder, wide, options), "-fPIC" in options


def link(linker, folder, machine, name, files):
    lines = []
    for kind, options in LINKS.items():
        library = f"{name}.{kind}.so"
        run([linker, "-shared", *options, "-o", os.path.join(folder, library),
             *(os.path.join(folder, file) for file in files)])
        lines.append(f"{machine} {name}.{kind} {library}")
    return lines


def make_relocations(linker, source, folder):
    """Relocations of many types, and what the linker makes of them at 0x40000000."""
    for machine in ("arm", "aarch64", "x86_64"):
        file = os.path.join(folder, f"relocations-{machine}.o")
        run(["clang", *CLANG[machine], "-c", source, "-o", file])
        with open(file, "rb") as bytes_of:
            names = set(re.findall(rb"at_([0-9a-f]+)\0", bytes_of.read()))
        run([linker, "-Ttext=0x40000000", "--oformat=binary", "-e", "begin", file, "-o", file[:-1] + "bin",
             *(f"--defsym=at_{name.decode()}=0x{name.decode()}" for name in names)])


def main(source, relocations, folder, path):
    os.makedirs(folder, exist_ok=True)
    lines, jobs = [], []
    compilers = {("clang", machine): ["clang", *options] for machine, options in CLANG.items()}
    compilers |= {("gcc", machine): command for machine, command in GCC.items()}
    for (family, machine), compiler in compilers.items():
        if shutil.which(compiler[0]) is None:
            lines.append(f"# no {compiler[0]}")
            continue
        for name, options in variants(family, machine):
            jobs.append((family, compiler, machine, name, options, source, folder))
    for machine, options in CLANG.items():
        if shutil.which("clang") is not None:
            run(["clang", *options, *PLAIN, "-O1", "-DPART=3", source, "-o",
                 os.path.join(folder, f"host-{machine}.o")])
    linker = shutil.which("ld.lld")
    if linker is None:
        lines.append("# no ld.lld")
    elif shutil.which("clang") is not None:
        make_relocations(linker, relocations, folder)
    with ThreadPoolExecutor(2) as pool:
        for machine, name, files, pic in pool.map(make, jobs):
            lines.append(f"{machine} {name} {' '.join(files)}")
            if linker is not None and pic and "-O0" not in name and "large" not in name:
                lines += link(linker, folder, machine, name, files)
    with open(path, "w", encoding="utf-8") as manifest:
        manifest.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
