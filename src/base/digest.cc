// SPDX-License-Identifier: Apache-2.0
#include "base/digest.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace omg {
namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// OpenSSL's digests fail only where memory runs out or a policy forbids SHA-256.
void require_ok(int result) {
  if (result != 1) {
    throw Error(ErrorCode::kInternal,
                "cannot compute SHA-256: OpenSSL refuses it; check the system's crypto policy");
  }
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

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  require_ok(context_ ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

void Sha256::update(std::span<const std::byte> bytes) {
  require_ok(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

Digest Sha256::digest() const {
  const std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());
  require_ok(copy ? EVP_MD_CTX_copy_ex(copy.get(), context_.get()) : 0);
  std::array<uint8_t, Digest::kBytes> bytes;
  unsigned size = 0;
  require_ok(EVP_DigestFinal_ex(copy.get(), bytes.data(), &size));
  return Digest(bytes);
}

Digest sha256(std::string_view text) {
  Sha256 hasher;
  hasher.update(text);
  return hasher.digest();
}

}  // namespace omg
