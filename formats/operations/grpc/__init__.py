"""gRPC and gRPC-Web: frames, messages and statuses of recorded bodies, with descriptors or without."""
