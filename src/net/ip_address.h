// SPDX-License-Identifier: Apache-2.0
//
// Which IP addresses a server on the internet may rightly send us to: those of the internet.
#pragma once

#include <optional>
#include <string_view>
#include <sys/socket.h>

namespace omg {

/// False for loopback, private, link-local, shared, documentation, multicast and reserved addresses
/// (IANA's special-purpose registries), for IPv6 addresses that carry such an IPv4 address, and for
/// families other than IPv4 and IPv6.
bool is_public_address(const sockaddr* address);
/// The same for an address in text ("127.0.0.1", "::1", "[::1]"); nothing if it is a name.
std::optional<bool> is_public_address(std::string_view text);

/// Whether `host` (a name or an address in text) lies in `block` ("10.0.0.0/8", "fd00::/8").
bool lies_in_block(std::string_view host, std::string_view block);

}  // namespace omg
