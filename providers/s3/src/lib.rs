//! The S3 provider: buckets and every setting they have.
