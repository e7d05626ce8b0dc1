"""Studies in object stores: s3://, gs:// and whatever else fsspec opens."""
