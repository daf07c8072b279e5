//! The Kubernetes provider: any object, by server-side apply.
