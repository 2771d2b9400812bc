"""The page that scripts/study.py writes: every figure and every comparison in it comes from its report."""
import report_parts as parts
from quickstart_report import interval, number

PAIR = "| a | b | a - b | 95 % interval | a is | only a : only b | McNemar p | could show |"
AFLOW = {"aflow_first": "first round", "aflow_best": "best round",
         "elsewhere": "best round of the other half of the queries", "gain": "best - first",
         "gain_elsewhere": "best of the other half - first"}


def table(head, rows, num_text):
    """Markdown; all columns but the first `num_text` are of numbers."""
    num = head.count("|") - 1
    rule = "|" + "---|" * num_text + "---:|" * (num - num_text)
    return [head, rule, *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def share(value):
    return "-" if value is None else f"{value:.0%}"


def method_rows(each):
    for method in each["methods"]:
        yield (f"`{method['name']}`", method["n"], number(method["score"]), interval(method),
               number(method["calls_mean"], 1), number(method["worker_tokens_mean"], 0),
               share(method["cut"]), method["workflow_errors"], method["infra_errors"])


def pair_rows(each):
    for pair in each["pairs"]:
        test = pair.get("mcnemar") or {}
        yield (f"`{pair['a']}`", f"`{pair['b']}`", number(pair["diff"], sign="+"), interval(pair, "+"),
               pair["reading"], f"{test['only_a']} : {test['only_b']}" if test else "-",
               f"{test['p']:.3g}" if test else "-", number(pair["detectable"]))


def listed(names):
    return ", ".join(f"`{name}`" for name in names) or "none"


def readings(pairs, rival):
    """Who is above, below or neither, in words."""
    found = {word: [name for name, reading in pairs if reading == word]
             for word in ("higher", "lower", "inconclusive")}
    return (f"Above `{rival}`: {listed(found['higher'])}; below it: {listed(found['lower'])}; "
            f"inconclusive: {listed(found['inconclusive'])}.")


def failures(each):
    """Why runs had no scored answer, the most frequent reasons."""
    lines = [f"- `{method['name']}`: {count} x {kind}: {' '.join(reason.split())[:160]}"
             for method in each["methods"] for kind, reasons in method["errors"].items()
             for reason, count in sorted(reasons.items(), key=lambda one: -one[1])[:3]]
    return ["Runs without a scored answer, by method the three most frequent reasons of a kind:", "",
            *lines, ""] if lines else ["Every run had a scored answer.", ""]


def set_section(dataset, each):
    tests = each["tests"]
    against = [(pair["a"], pair["reading"]) for pair in each["pairs"] if pair["b"] == "io_greedy"]
    return [
        f"## {dataset}", "",
        f"{len(each['tasks'])} of the {each['split']} tasks. A task has {tests['official']:.1f} official tests "
        f"and {tests['public']:.1f} public ones in the mean; {tests['public_official']:.1f} of the public "
        "ones are official ones, too: what runs them (`choose`, `repair`, and AFlow's where they test) has "
        "seen a part of what scores it.", "",
        *table("| method | tasks | score | 95 % interval | calls | worker tokens | cut off | workflow errors "
               "| infra errors |", method_rows(each), 1),
        "Calls and tokens (prompts included) are means of a task; `cut off` is the share of the replies "
        "that ended at the limit, of calls for one reply.", "",
        *failures(each),
        *table(PAIR, pair_rows(each), 2),
        readings(against, "io_greedy"), ""]


def together_section(report):
    rows = [(f"`{name}`", found["n"], number(found["mean"], sign="+"), interval(found, "+"), found["reading"])
            for name, found in report["together"].items()]
    return ["## Both sets together", "",
            *table("| method | tasks | minus `io_greedy` | 95 % interval | reading |", rows, 1),
            readings([(name, found["reading"]) for name, found in report["together"].items()], "io_greedy"), ""]


def gain_here(each):
    return next(pair for pair in each["pairs"] if (pair["a"], pair["b"]) == ("aflow_best", "aflow_first"))


def aflow_rows(sets):
    for dataset, each in sets.items():
        their, ours = each["aflow"], {method["name"]: method for method in each["methods"]}
        gain = gain_here(each)
        for key, words in AFLOW.items():
            found, sign = their[key], "+" if "gain" in key else ""
            here = ours.get(key, {}) if key != "gain" else {"score": gain["diff"], "ci95": gain["ci95"]}
            chosen = f" ({their['rounds'][key]})" if key in their["rounds"] else ""
            yield (dataset, words + chosen, number(found["mean"], sign=sign), interval(found, sign),
                   number(here.get("score"), sign=sign), interval(here, sign) if here else "-")


def aflow_words(dataset, each):
    """What the gains allow to say: of the logs what both ways to choose agree on."""
    seen = {each["aflow"][key]["reading"] for key in ("gain", "gain_elsewhere")}
    their = seen.pop() if len(seen) == 1 else "inconclusive"
    ours = gain_here(each)["reading"]
    named = {"higher": "a gain", "lower": "a loss", "inconclusive": "neither a gain nor a loss"}
    return (f"- {dataset}: of the best round over the first AFlow's logs show {named[their]}, "
            f"this worker {named[ours]}.")


def aflow_section(sets):
    facts = "; ".join(
        f"{dataset}: {each['aflow']['queries']} queries, {each['aflow']['runs']} runs of each of "
        f"{each['aflow']['workflows']} workflows" for dataset, each in sets.items())
    return [
        "## AFlow's workflows, in its logs and here", "",
        f"Left the public logs of AFlow's searches ({facts}; a query's runs are one unit), right this study. "
        "The best round was chosen by the left figures, which favours it there. The rows of the other half take "
        "for each query what is best on the other half of the queries, which errs the other way: what does "
        "well on one half of a fixed set does less well on the rest.", "",
        *table("| set | workflow | logs | 95 % interval | here | 95 % interval |", aflow_rows(sets), 2),
        "The two sides are not one experiment. The logs do not name their model; AFlow's paper "
        "(arXiv:2410.10762) runs GPT-4o-mini. They are of AFlow's validation tasks, by which the rounds were "
        "found, with AFlow's prompts for its operators, its public tests and, of MBPP, a signature in the prompt "
        "where Weft shows a test. Levels are therefore not to be compared, and of the gains their signs at "
        "most, where both ways to choose agree:", "",
        *(aflow_words(dataset, each) for dataset, each in sets.items()), ""]


def cost_section(sets):
    rows = [(dataset, number(each["seconds"], 0), number(each["peak_mb"], 0), each["decoded_tokens"],
             each["cache"]["asked"], each["cache"]["replies"]) for dataset, each in sets.items()]
    return ["## Cost", "",
            *table("| set | seconds | peak MB | decoded tokens | replies asked for | replies kept before |",
                   rows, 1),
            "Seconds are of `evaluate` alone, its loading and scoring included. A reply that another method had "
            "asked for counts fully in the tables above.", ""]


def text(report, words):
    """Markdown of a whole report; `words` says of each method what it is."""
    sets = report["sets"]
    first = next(iter(sets.values()))
    settings = first["settings"]
    return "\n".join([
        *parts.heading("Fixed workflows and plain calls", report, "scripts/study.py --model DIR --data DIR"),
        f"Worker: {first['worker']}, `dtype` {settings['dtype']}. Tasks are evenly spaced in the order of AFlow's "
        "test split, chosen by their place alone; one run of each method on each task, seed "
        f"{settings['seed']}. A task scores 1 where the answer passes all of the benchmark's own tests, else 0. "
        f"A reply has at most {settings['max_tokens']} tokens; what is sampled is at temperature "
        f"{settings['temperature']:g}, `cot_sc` draws {settings['cot_sc_samples']}. p values are not corrected "
        "for the number of pairs; `could show` is the least difference that so many tasks, differing as these "
        "do, show with 80 % power.", "",
        *(f"- `{name}`: {what}" for name, what in words.items()), "",
        *(line for dataset, each in sets.items() for line in set_section(dataset, each)),
        *together_section(report), *aflow_section(sets), *cost_section(sets)])
