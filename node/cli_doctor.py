"""The part of doctor that needs the network's documents: who is called, how long things still hold. No command here."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec

from node import requests as ask
from node.checkup import Checkup
from node.cli_kit import Session
from node.enrolment import CONFIG_NAME
from node.runtime import doctor_network as network
from node.runtime import probe
from node.runtime.config import NodeConfig, load_config
from node.runtime.doctor import Check, Finding
from node.runtime.ports import KeyEntry
from node.runtime.probe import Seen
from node.runtime.wording import say
from protocol.errors import ProtocolError

KEPT_WARNS: Final = 7 * 24 * 3600


class Further:
    """What `doctor` asks beyond this computer; `offline` calls nobody."""

    def __init__(self, session: Session, offline: bool) -> None:
        self._session = session
        self._offline = offline

    @cached_property
    def _config(self) -> NodeConfig:
        return load_config(self._session.data_dir / CONFIG_NAME, NodeConfig)

    @cached_property
    def _held(self) -> Checkup:
        return msgspec.json.decode(self._session.call("checkup", ask.Nothing()), type=Checkup)

    @cached_property
    def _seen(self) -> Mapping[str, Seen]:
        """Every address we depend on, and ours, called at once."""
        held = self._held
        urls = dict.fromkeys([*held.registry, *held.relays.values(), *held.urls])
        return {} if self._offline else probe.look_all(urls, self._config.http)

    def offset(self) -> int | None:
        """Of our clock, by who answered just now; ourselves apart."""
        try:
            own = set(self._held.urls)
            return network.offset({url: seen for url, seen in self._seen.items() if url not in own}, _now())
        except ProtocolError:
            return None

    def checks(self, entries: Callable[[], Sequence[KeyEntry]]) -> list[Check]:
        """A configuration or store that cannot be opened is one finding here, and does not hide what can be asked."""
        data = self._session.data_dir
        asked = [network.programs(data)]
        try:
            http = self._config.http
        except ProtocolError as error:
            return [*asked, _raising("configurazione", error)]
        asked += [network.ports(data, http), network.authority(http, _now)]
        if not self._offline:
            asked.append(network.way_out(http))
        try:
            return [*asked, network.key_ages(entries, _now), *self._of_the_network(self._held)]
        except ProtocolError as error:
            return [*asked, _raising("rete", error)]

    def _of_the_network(self, held: Checkup) -> list[Check]:
        if held.state != "admitted":
            return [Check("iscrizione", lambda: _not_in(held.state))]
        now = _now()
        checks = [network.queue_age(held.queue, held.oldest_queued, now), *self._servers(held, now)]
        if held.list_exp is not None:
            checks.insert(0, network.list_age(held.list_exp, held.degraded_days, now))
        if held.relay:
            checks.append(Check("casella per altri", lambda: _kept(held, now)))
        return checks

    def _servers(self, held: Checkup, now: int) -> list[Check]:
        """One address of the board or one mailbox is enough to work with; when none answers, that is a failure."""
        seen = self._seen
        needed = [*held.registry, *held.relays.values()]
        alone = bool(needed) and all(seen[url].why is not None for url in needed if url in seen)
        named = [("bacheca", url, False) for url in held.registry]
        named += [(f"casella {relay}", url, False) for relay, url in held.relays.items() if url not in held.registry]
        named += [("indirizzo pubblico", url, True) for url in held.urls]
        return [
            network.server(name, url, seen[url], now, missed="warn" if own or not alone else "fail", own=own)
            for name, url, own in named
            if url in seen
        ]


def _now() -> int:
    return int(time.time())


def _raising(name: str, error: ProtocolError) -> Check:
    def ask() -> Finding:
        raise error

    return Check(name, ask)


def _not_in(state: str) -> Finding:
    if state == "pending":
        text = say("La richiesta di entrare nella rete aspetta i garanti.")
        return Finding("warn", text, say("Leggere al telefono alla capofila le otto parole di «keys»."))
    return Finding("warn", say("Non è ancora nella rete."), say("Chiedere l'invito alla capofila, poi «join INVITO»."))


def _kept(held: Checkup, now: int) -> Finding:
    if not held.listed:
        text = say("Tiene caselle per altri, ma la rete non lo elenca.")
        return Finding("warn", text, say("Chiedere alla capofila di aggiungerlo alle caselle, o togliere «relay»."))
    if held.oldest_kept is None:
        return Finding("ok", say("Nelle caselle tenute per altri non aspetta nulla."))
    days = (now - held.oldest_kept) // 86400
    text = say("Nelle caselle tenute per altri: {count}, il più vecchio da {days} giorni.").format(
        count=held.kept, days=days
    )
    if now - held.oldest_kept <= KEPT_WARNS:
        return Finding("ok", text)
    return Finding("warn", text, say("Qualcuno non ritira la posta: avvisare la capofila."))
