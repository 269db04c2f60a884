"""The gRPC front of the local server: services and the conversion of protobuf tensors."""
