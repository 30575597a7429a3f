//! Double-precision linear algebra on faer: covariance, symmetric eigenvalues, singular values.
