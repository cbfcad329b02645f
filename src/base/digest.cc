// SPDX-License-Identifier: Apache-2.0
//
// Through OpenSSL's functions for SHA-256 alone. Its newer interface hides the state between
// blocks.
#include "base/digest.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <algorithm>
#include <cassert>
#include <openssl/sha.h>

#include "base/error.h"

namespace omg {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view kName = "sha256";
  if (text.size() == kName.size() + 1 + 2 * kBytes) {
    const char separator = text[kName.size()];
    if (!text.starts_with(kName) || (separator != ':' && separator != '-')) return std::nullopt;
    text.remove_prefix(kName.size() + 1);
  }
  if (text.size() != 2 * kBytes) return std::nullopt;
  std::array<uint8_t, kBytes> bytes;
  for (size_t i = 0; i < kBytes; ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    bytes[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return Digest(bytes);
}

Digest Digest::require(std::string_view text, std::string_view what) {
  if (const auto digest = parse(text)) return *digest;
  constexpr size_t kMostShown = 80;
  throw Error(ErrorCode::kInvalidArgument, "invalid digest of " + std::string(what) + ": '" +
                                               std::string(text.substr(0, kMostShown)) +
                                               "' is not sha256: and 64 hexadecimal digits");
}

std::string Digest::hex() const {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * kBytes);
  for (const uint8_t byte : bytes_) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

void Sha256::Free::operator()(SHA256state_st* context) const {
  delete context;
}

Sha256::Sha256() : context_(new SHA256state_st) {
  SHA256_Init(context_.get());
}

void Sha256::update(std::span<const std::byte> bytes) {
  SHA256_Update(context_.get(), bytes.data(), bytes.size());
}

Digest Sha256::digest() const {
  SHA256state_st copy = *context_;
  std::array<uint8_t, Digest::kBytes> bytes;
  SHA256_Final(bytes.data(), &copy);
  return Digest(bytes);
}

Sha256::State Sha256::state() const {
  assert(context_->num == 0);
  State state;
  std::copy_n(context_->h, state.size(), state.begin());
  return state;
}

Sha256 Sha256::continued(const State& state, uint64_t bytes) {
  assert(bytes % SHA256_CBLOCK == 0);
  Sha256 hasher;
  std::copy(state.begin(), state.end(), hasher.context_->h);
  hasher.context_->Nl = static_cast<uint32_t>(bytes << 3);  // the count is in bits
  hasher.context_->Nh = static_cast<uint32_t>(bytes >> 29);
  return hasher;
}

Digest sha256(std::string_view text) {
  Sha256 hasher;
  hasher.update(text);
  return hasher.digest();
}

}  // namespace omg
