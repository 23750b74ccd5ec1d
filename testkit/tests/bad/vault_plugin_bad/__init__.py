"""A distribution of backends for the tests of the contract kit: good ones, and faulty ones."""
