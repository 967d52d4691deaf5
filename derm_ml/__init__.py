"""derm_ml: does an encoder pretrained on dermatology images alone beat ImageNet transfer, and does it overfit less?"""

__version__ = "0.1.0"
