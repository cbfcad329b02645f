// SPDX-License-Identifier: Apache-2.0
//
// The special-purpose blocks of IANA's registries (RFC 6890 and successors), and their test.
#include "net/ip_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <netinet/in.h>
#include <string>

namespace omg {
namespace {

struct Block4 {
  uint32_t first;
  int bits;
};

constexpr std::array<Block4, 15> kSpecial4 = {{
    {0x00000000, 8},   // this network
    {0x0a000000, 8},   // private
    {0x64400000, 10},  // shared, carrier's NAT
    {0x7f000000, 8},   // loopback
    {0xa9fe0000, 16},  // link-local; clouds serve machine credentials here
    {0xac100000, 12},  // private
    {0xc0000000, 24},  // protocol assignments
    {0xc0000200, 24},  // documentation
    {0xc0586300, 24},  // 6to4 relays, withdrawn
    {0xc0a80000, 16},  // private
    {0xc6120000, 15},  // benchmarks
    {0xc6336400, 24},  // documentation
    {0xcb007100, 24},  // documentation
    {0xe0000000, 4},   // multicast
    {0xf0000000, 4},   // reserved, broadcast
}};

bool is_public4(uint32_t address) {
  return std::none_of(kSpecial4.begin(), kSpecial4.end(), [&](const Block4& block) {
    return address >> (32 - block.bits) == block.first >> (32 - block.bits);
  });
}

uint32_t read4(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

bool starts_with(const uint8_t* bytes, std::initializer_list<uint8_t> prefix) {
  return std::equal(prefix.begin(), prefix.end(), bytes);
}

bool is_public6(const uint8_t* a) {
  const bool zeros_to_10 = std::all_of(a, a + 10, [](uint8_t byte) { return byte == 0; });
  if (zeros_to_10 && a[10] == 0xff && a[11] == 0xff) return is_public4(read4(a + 12));  // mapped
  if (zeros_to_10 && a[10] == 0 && a[11] == 0) return false;  // ::, ::1, IPv4-compatible
  if (starts_with(a, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    return is_public4(read4(a + 12));  // NAT64
  }
  if (starts_with(a, {0x20, 0x02})) return is_public4(read4(a + 2));  // 6to4
  if (starts_with(a, {0x20, 0x01, 0x0d, 0xb8})) return false;         // documentation
  if (starts_with(a, {0x20, 0x01}) && a[2] < 2) return false;         // Teredo, benchmarks, ORCHID
  return (a[0] & 0xe0) == 0x20;  // only 2000::/3 is assigned to the internet
}

struct Address {
  size_t size = 0;  // 4 or 16
  std::array<uint8_t, 16> bytes{};
};

std::optional<Address> parse(std::string_view text) {
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
  }
  const std::string copy(text.substr(0, text.find('%')));  // without an IPv6 zone
  Address address;
  if (inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
    address.size = 4;
  } else if (inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
    address.size = 16;
  } else {
    return std::nullopt;
  }
  return address;
}

}  // namespace

bool is_public_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof v4);
    return is_public4(ntohl(v4.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, address, sizeof v6);
    return is_public6(v6.sin6_addr.s6_addr);
  }
  return false;
}

std::optional<bool> is_public_address(std::string_view text) {
  const auto address = parse(text);
  if (!address) return std::nullopt;
  return address->size == 4 ? is_public4(read4(address->bytes.data()))
                            : is_public6(address->bytes.data());
}

bool lies_in_block(std::string_view host, std::string_view block) {
  const size_t slash = block.find('/');
  if (slash == std::string_view::npos) return false;
  const auto address = parse(host);
  const auto first = parse(block.substr(0, slash));
  const std::string_view digits = block.substr(slash + 1);
  size_t bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (!address || !first || address->size != first->size || error != std::errc() ||
      end != digits.data() + digits.size() || bits > address->size * 8) {
    return false;
  }
  for (size_t bit = 0; bit < bits; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    if ((address->bytes[bit / 8] ^ first->bytes[bit / 8]) & mask) return false;
  }
  return true;
}

}  // namespace omg
