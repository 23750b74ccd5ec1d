"""The vaults of many profiles, opened once for each store."""

from collections.abc import Callable

from vault_core.keyslots.manage import lacks_store
from vault_core.storage.vault import Vault


class Vaults:
    """From a profile to its vault, by the settings and the profile's ``vault_backend``. Equal stores share a vault.

    :param choose: from a profile to a vault that is not open yet.
    :param is_new: whether the store of a vault has yet to be created; it never prompts.
    """

    def __init__(self, choose: Callable[[str], Vault], is_new: Callable[[Vault], bool] = lacks_store) -> None:
        self._choose = choose
        self.is_new = is_new
        self._stores: dict[str, Vault] = {}
        self._profiles: dict[str, Vault] = {}
        self._missing: list[Vault] = []

    def __call__(self, profile: str) -> Vault:
        if profile not in self._profiles:
            vault = self._choose(profile)
            if vault.store.identity not in self._stores and self.is_new(vault):
                self._missing.append(vault)
            self._profiles[profile] = self._stores.setdefault(vault.store.identity, vault)
        return self._profiles[profile]

    def reopened(self) -> "Vaults":
        """The same, without a vault that is open already."""
        return Vaults(self._choose, self.is_new)

    def created(self) -> list[Vault]:
        """The vaults whose store did not exist when it was first asked for, and exists now."""
        return [vault for vault in self._missing if not self.is_new(vault)]
