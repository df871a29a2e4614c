import pytest

from running import Product


@pytest.fixture(scope="session")
def product():
    product = Product()
    try:
        product.fill()
        yield product
    finally:
        product.stop()
