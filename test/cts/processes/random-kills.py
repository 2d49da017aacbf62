#!/usr/bin/env python3
"""Kills one rank of a job at a random moment, again and again.

Of each job all ranks must end within two seconds after the kill, the others must
say in one line what they did when they found out (if all had started), and no
process and no shared memory may be left.

usage: random-kills.py --bin BUILD/bin --model model.onnx [--trials 50]
                       [--seed N] [--mpiexec mpirun]
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

LIMIT_SECONDS = 2.0
RUN_SECONDS = 60


def processes_with(text):
    """Processes whose command line holds `text`, with their environment."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
            with open(f"/proc/{name}/environ", "rb") as file:
                environment = file.read().split(b"\0")
        except OSError:
            continue
        if any(text.encode() in word for word in words):
            found[int(name)] = (words, environment)
    return found


def ranks_of(plan):
    """Process numbers of moe-run, by rank."""
    ranks = {}
    for number, (words, environment) in processes_with(plan).items():
        if not words[0].endswith(b"moe-run"):
            continue
        for entry in environment:
            if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                ranks[int(entry.split(b"=")[1])] = number
    return ranks


def shared_memory():
    return set(os.listdir("/dev/shm"))


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def run_trial(args, plan, num_ranks, delay, log):
    """What went wrong, or None; and how long the end took."""
    before = shared_memory()
    environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1",
                       OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    command = [args.mpiexec, "-n", str(num_ranks), "--oversubscribe",
               os.path.join(args.bin, "moe-run"), "bench", plan,
               "--shape", "batch=4,seq=8", "--seconds", str(RUN_SECONDS)]
    with open(log, "w") as output:
        job = subprocess.Popen(command, env=environment, stdout=output,
                               stderr=output, stdin=subprocess.DEVNULL)
    if not wait_until(lambda: len(ranks_of(plan)) == num_ranks, 20):
        job.kill()
        return "the job did not start", 0
    time.sleep(delay)
    victim = random.choice(sorted(ranks_of(plan)))
    os.kill(ranks_of(plan)[victim], signal.SIGKILL)
    killed = time.monotonic()
    # The launcher itself takes up to two seconds more.
    ended = wait_until(lambda: not ranks_of(plan), 30)
    seconds = time.monotonic() - killed
    if not ended:
        job.kill()
        return f"rank {victim} died, the job goes on", seconds
    code = job.wait(timeout=30)
    if code == 0:
        return "the job ended with exit code 0", seconds
    if seconds > LIMIT_SECONDS:
        return f"the ranks ended after {seconds:.2f} s", seconds
    with open(log) as output:
        lines = [line for line in output if ": error: rank " in line]
    # Earlier, a rank may not have got as far as to be able to say anything.
    if delay > 0.5 and len(lines) != num_ranks - 1:
        return f"{len(lines)} of {num_ranks - 1} ranks said why", seconds
    if not wait_until(lambda: not processes_with(plan), 3):
        return f"left: processes {sorted(processes_with(plan))}", seconds
    if not wait_until(lambda: shared_memory() <= before, 3):
        return f"left: /dev/shm/{shared_memory() - before}", seconds
    return None, seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--mpiexec", default="mpirun")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 100000)
    args = parser.parse_args()
    random.seed(args.seed)
    print(f"seed {args.seed}")
    failures, longest = 0, 0.0
    with tempfile.TemporaryDirectory(prefix="moe-kills-") as folder:
        plans = {}
        for num_ranks in (2, 3, 4, 8):
            plans[num_ranks] = os.path.join(folder, f"{num_ranks}.moeplan")
            subprocess.run([os.path.join(args.bin, "moe-opt"), args.model,
                            "-o", plans[num_ranks], f"--ranks={num_ranks}"],
                           check=True, stderr=subprocess.DEVNULL)
        log = os.path.join(folder, "log")
        for trial in range(args.trials):
            num_ranks = random.choice(sorted(plans))
            delay = random.uniform(0, 1.5)
            error, seconds = run_trial(args, plans[num_ranks], num_ranks,
                                       delay, log)
            longest = max(longest, seconds)
            if error is None:
                print(f"trial {trial}: {num_ranks} ranks, after {delay:.2f} s: "
                      f"ended in {seconds:.2f} s")
                continue
            failures += 1
            print(f"trial {trial}: {num_ranks} ranks, after {delay:.2f} s: "
                  f"{error}")
            with open(log) as output:
                print(output.read())
    print(f"{args.trials - failures} of {args.trials} jobs ended as they "
          f"should, the slowest after {longest:.2f} s")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
