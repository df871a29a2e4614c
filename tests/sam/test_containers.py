"""What the containers have to know of this machine."""

from containers import address


def test_the_address_of_an_interface_is_read_from_the_kernel():
    assert address("lo") == "127.0.0.1"
