"""Many processes at the same time."""

from vault_core.api import Secret
from vault_testkit.case import Case, check
from vault_testkit.part import StoragePart
from vault_testkit.storage.basic import KEY, OTHER, holds, lists, shown
from vault_testkit.tasks import digest

CROWD = 4


class Processes(StoragePart):
    """Several processes write at a time and nothing is lost: every ``awsv`` is a process of its own."""

    part = "Processes"

    def test_processes_lose_nothing(self, case: Case) -> None:
        store = case.open()
        store.put(OTHER, Secret("the store is there"))
        each = case.afford(10, "keys of each process", cost=4 * CROWD)
        items = [{f"credentials/p{task}-{n}": f"{task} {n}" for n in range(each)} for task in range(CROWD)]
        case.do(*({"act": "put", "items": mine} for mine in items))
        lists(store, [OTHER, *(key for mine in items for key in mine)])
        for mine in items:
            for key, value in mine.items():
                holds(store, key, value)

    def test_processes_may_be_the_first(self, case: Case) -> None:
        """They find nothing, and each makes the store."""
        items = [{f"credentials/p{task}": f"of {task}"} for task in range(CROWD)]
        case.do(*({"act": "put", "items": mine} for mine in items))
        store = case.open()
        lists(store, [key for mine in items for key in mine])

    def test_processes_read_old_or_new(self, case: Case) -> None:
        """While one writes long values of different lengths, others see one of them whole, or the one before."""
        store = case.open()
        size = min(case.spec.max_value or 16_384, 16_384)
        values = ["a" * size, "b" * (size // 2), "c" * 20]
        store.put(KEY, Secret(values[0]))
        rounds = case.afford(10, "rounds of writing", cost=3, least=1)
        writer = {"act": "rewrite", "key": KEY, "values": values * rounds}
        most = case.afford(3000, "reads of each reader", cost=4)
        reader = {"act": "read", "key": KEY, "most": most}
        report = case.do(writer, reader, reader)
        seen = {one for all_ in report.of("seen") for one in all_}
        check("absent" not in seen, "while an item was replaced, another process found that it was not there")
        strange = seen - {digest(value) for value in values}
        check(not strange, "while an item was replaced, another process saw a value that nobody wrote")

    def test_processes_list_what_stays(self, case: Case) -> None:
        """While items come and go, each listing has all that stay: what is not listed counts as deleted."""
        store = case.open()
        stay = [f"credentials/k{n}-stays" for n in range(case.afford(8, "keys that stay", cost=2, least=3))]
        for key in stay:
            store.put(key, Secret("1"))
        times = case.afford(4, "rounds of coming and going", cost=4 * len(stay))
        passing = [{f"credentials/k{n}-{who}": "1" for n in range(len(stay))} for who in ("goes", "passes")]
        most = case.afford(300, "listings", cost=4)
        report = case.do(
            *({"act": "come_and_go", "items": items, "times": times} for items in passing),
            {"act": "look_for", "keys": stay, "most": most},
        )
        missed = sorted({key for keys in report.of("missed") for key in keys})
        check(not missed, f"while other items came and went, keys() left out {shown(missed)}")

    def test_processes_delete_once(self, case: Case) -> None:
        """Of several processes that delete one item, one gets the answer that it was there."""
        store, worker = case.open(), case.worker()
        store.put(OTHER, Secret("the store is there"))
        for _ in range(case.afford(3, "rounds", cost=CROWD + 1)):
            store.put(KEY, Secret("1"))
            said = case.do(*[{"act": "delete", "key": KEY}] * CROWD, worker=worker).of("deleted")
            check(said.count(True) == 1, f"{CROWD} processes deleted one item, and {said.count(True)} got True")
