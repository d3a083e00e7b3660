"""Faces in pictures: where they are, and each as an upright chip that a network describes.

`detector.FaceDetector` finds them in a decoded picture, `alignment.chip` cuts one out, and the
network `networks.RECOGNITION` turns chips into face embeddings. The networks are ONNX files of the
folder `shipped`, whose README says where they come from; `make backbone` makes them.
"""
