// SPDX-License-Identifier: Apache-2.0
//
// SHA-256: the digest as a value, and a hasher that is fed as bytes arrive. Blobs, downloads and
// manifests are named by it, so a Digest is 32 bytes that were parsed, never a string from outside.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct SHA256state_st;  // of OpenSSL

namespace omg {

/// A SHA-256 digest. Cheap to copy; ordered by its bytes, which is the order of its hex form.
class Digest {
 public:
  static constexpr size_t kBytes = 32;

  /// Reads "sha256:<64 hex>", "sha256-<64 hex>" or 64 hex digits alone, of either case. Nothing for
  /// all else: another algorithm, other lengths, white space.
  static std::optional<Digest> parse(std::string_view text);
  /// As parse(), but throws Error(kInvalidArgument) that names `what` and quotes the text.
  static Digest require(std::string_view text, std::string_view what);
  explicit Digest(const std::array<uint8_t, kBytes>& bytes) : bytes_(bytes) {}

  const std::array<uint8_t, kBytes>& bytes() const { return bytes_; }
  /// 64 lower-case digits.
  std::string hex() const;
  /// "sha256:<hex>", as manifests and protocols write it.
  std::string str() const { return "sha256:" + hex(); }
  /// "sha256-<hex>", as files are named.
  std::string file_name() const { return "sha256-" + hex(); }

  friend auto operator<=>(const Digest&, const Digest&) = default;

 private:
  std::array<uint8_t, kBytes> bytes_;
};

/// SHA-256 of bytes that come in pieces, by OpenSSL (which uses the processor's instructions for
/// it: 1.5 to 2 GB/s on a core that has them). Movable; not thread-safe.
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept = default;
  Sha256& operator=(Sha256&&) noexcept = default;

  void update(std::span<const std::byte> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// The digest of all bytes so far. The hasher can be fed on after it.
  Digest digest() const;

  /// The eight words of state between two blocks (FIPS 180-4, 6.2.2). Bytes so far: a multiple of
  /// 64.
  using State = std::array<uint32_t, 8>;
  State state() const;
  /// A hasher as it was after `bytes` bytes (a multiple of 64).
  static Sha256 continued(const State& state, uint64_t bytes);

 private:
  struct Free {
    void operator()(SHA256state_st* context) const;
  };
  std::unique_ptr<SHA256state_st, Free> context_;
};

/// Digest of `text` in one call.
Digest sha256(std::string_view text);

}  // namespace omg

template <>
struct std::hash<omg::Digest> {
  size_t operator()(const omg::Digest& digest) const noexcept {
    size_t value = 0;  // any eight bytes of a digest are a good hash
    for (size_t i = 0; i < sizeof(value); ++i) value = value << 8 | digest.bytes()[i];
    return value;
  }
};
