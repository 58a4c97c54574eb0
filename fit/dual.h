#pragma once

#include <array>
#include <cmath>
#include <cstddef>

namespace sweep {

/// A number that carries its derivatives by P parameters: forward automatic differentiation, to
/// first order, or to second with `kSecond` (h is the lower triangle, row by row). A law writes its
/// formula once, as a template over double and these.
template <std::size_t P, bool kSecond>
struct Dual {
  double v = 0;
  std::array<double, P> g{};
  std::array<double, kSecond ? P*(P + 1) / 2 : 0> h{};

  Dual() = default;
  Dual(double value) : v(value) {}  // NOLINT(google-explicit-constructor): constants mix with duals
  static Dual Variable(double value, std::size_t index) {
    Dual d(value);
    d.g[index] = 1;
    return d;
  }
};

/// f(a) given f and its first two derivatives at a.v.
template <std::size_t P, bool S>
Dual<P, S> Chain(const Dual<P, S>& a, double f, double f1, double f2) {
  Dual<P, S> r(f);
  for (std::size_t i = 0; i < P; ++i) r.g[i] = f1 * a.g[i];
  if constexpr (S) {
    for (std::size_t i = 0, k = 0; i < P; ++i) {
      for (std::size_t j = 0; j <= i; ++j, ++k) r.h[k] = f1 * a.h[k] + f2 * a.g[i] * a.g[j];
    }
  }
  return r;
}

template <std::size_t P, bool S>
Dual<P, S> operator-(const Dual<P, S>& a) {
  return Chain(a, -a.v, -1, 0);
}

template <std::size_t P, bool S>
Dual<P, S> operator+(Dual<P, S> a, const Dual<P, S>& b) {
  a.v += b.v;
  for (std::size_t i = 0; i < P; ++i) a.g[i] += b.g[i];
  for (std::size_t k = 0; k < a.h.size(); ++k) a.h[k] += b.h[k];
  return a;
}

template <std::size_t P, bool S>
Dual<P, S> operator-(Dual<P, S> a, const Dual<P, S>& b) {
  a.v -= b.v;
  for (std::size_t i = 0; i < P; ++i) a.g[i] -= b.g[i];
  for (std::size_t k = 0; k < a.h.size(); ++k) a.h[k] -= b.h[k];
  return a;
}

template <std::size_t P, bool S>
Dual<P, S> operator*(const Dual<P, S>& a, const Dual<P, S>& b) {
  Dual<P, S> r(a.v * b.v);
  for (std::size_t i = 0; i < P; ++i) r.g[i] = a.v * b.g[i] + b.v * a.g[i];
  if constexpr (S) {
    for (std::size_t i = 0, k = 0; i < P; ++i) {
      for (std::size_t j = 0; j <= i; ++j, ++k) {
        r.h[k] = a.v * b.h[k] + b.v * a.h[k] + a.g[i] * b.g[j] + a.g[j] * b.g[i];
      }
    }
  }
  return r;
}

template <std::size_t P, bool S>
Dual<P, S> operator/(const Dual<P, S>& a, const Dual<P, S>& b) {
  const double inverse = 1 / b.v;
  return a * Chain(b, inverse, -inverse * inverse, 2 * inverse * inverse * inverse);
}

#define SWEEP_MIXED(op)                                   \
  template <std::size_t P, bool S>                        \
  Dual<P, S> operator op(const Dual<P, S>& a, double b) { \
    return a op Dual<P, S>(b);                            \
  }                                                       \
  template <std::size_t P, bool S>                        \
  Dual<P, S> operator op(double a, const Dual<P, S>& b) { \
    return Dual<P, S>(a) op b;                            \
  }
SWEEP_MIXED(+)
SWEEP_MIXED(-)
SWEEP_MIXED(*)
SWEEP_MIXED(/)
#undef SWEEP_MIXED

template <std::size_t P, bool S>
Dual<P, S> exp(const Dual<P, S>& a) {
  const double e = std::exp(a.v);
  return Chain(a, e, e, e);
}

template <std::size_t P, bool S>
Dual<P, S> log(const Dual<P, S>& a) {
  return Chain(a, std::log(a.v), 1 / a.v, -1 / (a.v * a.v));
}

template <std::size_t P, bool S>
Dual<P, S> expm1(const Dual<P, S>& a) {
  const double e = std::exp(a.v);
  return Chain(a, std::expm1(a.v), e, e);
}

/// ln(1 + exp(x)) without overflow.
inline double Softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

/// 1 / (1 + exp(-x)).
inline double Logistic(double x) {
  return x > 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

template <std::size_t P, bool S>
Dual<P, S> Softplus(const Dual<P, S>& a) {
  const double s = Logistic(a.v);
  return Chain(a, Softplus(a.v), s, s * (1 - s));
}

template <std::size_t P, bool S>
Dual<P, S> Logistic(const Dual<P, S>& a) {
  const double s = Logistic(a.v);
  return Chain(a, s, s * (1 - s), s * (1 - s) * (1 - 2 * s));
}

/// The value without its derivatives, for choosing a branch.
inline double ValueOf(double x) {
  return x;
}
template <std::size_t P, bool S>
double ValueOf(const Dual<P, S>& x) {
  return x.v;
}

/// ln(exp(a) + exp(b)); either may be minus infinity.
template <class T>
T LogAddExp(const T& a, const T& b) {
  using std::exp;
  using std::log;
  if (ValueOf(a) < ValueOf(b)) return LogAddExp(b, a);
  if (std::isinf(ValueOf(b))) return a;
  return a + Softplus(b - a);
}

}  // namespace sweep
