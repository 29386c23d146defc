"""Networks: backbones, pooling layers, classifiers and pre-trained weights."""
