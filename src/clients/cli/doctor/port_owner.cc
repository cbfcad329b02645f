// SPDX-License-Identifier: Apache-2.0
//
// proc(5): /proc/net/tcp has a line for each socket, with addresses in the machine's byte order by
// words of 32 bits; /proc/PID/fd/N is a link "socket:[INODE]".
#include "clients/cli/doctor/port_owner.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

namespace omg::cli::doctor {
namespace {

namespace fs = std::filesystem;

constexpr const char* kListening = "0A";

std::optional<uint32_t> parse_hex(std::string_view text) {
  uint32_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// "0100007F" and the 32 digits of IPv6; "" for what is neither.
std::string address_of_hex(std::string_view digits) {
  if (digits.size() != 8 && digits.size() != 32) return "";
  unsigned char bytes[16];
  for (size_t word = 0; word * 8 < digits.size(); ++word) {
    const auto value = parse_hex(digits.substr(word * 8, 8));
    if (!value) return "";
    std::memcpy(bytes + word * 4, &*value, 4);
  }
  char text[INET6_ADDRSTRLEN] = {};
  ::inet_ntop(digits.size() == 8 ? AF_INET : AF_INET6, bytes, text, sizeof text);
  return text;
}

/// Whether who listens on `theirs` keeps others from listening on `host`.
bool is_in_the_way(const std::string& theirs, const std::string& host) {
  const auto is_any = [](const std::string& a) { return a == "0.0.0.0" || a == "::" || a == "*"; };
  if (is_any(theirs) || is_any(host) || theirs == host) return true;
  if (host == "localhost") return theirs.starts_with("127.") || theirs == "::1";
  return theirs == "::ffff:" + host;
}

struct Listening {
  std::string address;
  uint32_t user = 0;
};

/// By the inode of the socket.
void read_table(const std::string& path, const std::string& host, uint16_t port,
                std::map<std::string, Listening>& found) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // headings
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string number, local, remote, state, queues, timer, retries, inode;
    Listening listening;
    uint64_t timeout = 0;
    if (!(words >> number >> local >> remote >> state >> queues >> timer >> retries >>
          listening.user >> timeout >> inode)) {
      continue;
    }
    const size_t colon = local.find(':');
    if (state != kListening || colon == std::string::npos) continue;
    if (parse_hex(std::string_view(local).substr(colon + 1)) != port) continue;
    listening.address = address_of_hex(std::string_view(local).substr(0, colon));
    if (is_in_the_way(listening.address, host)) found[inode] = listening;
  }
}

/// The command line with spaces between its words; at most so much of it as tells who it is.
std::string command_of(const fs::path& process) {
  constexpr size_t kMost = 60;
  std::ifstream file(process / "cmdline", std::ios::binary);
  std::string text(4096, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(file.gcount(), 0)));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  if (text.size() > kMost) text = text.substr(0, kMost) + "…";
  return text;
}

std::string program_of(const fs::path& process) {
  std::string name;
  std::getline(std::ifstream(process / "comm"), name);
  return name;
}

/// The inode of "socket:[INODE]"; "" for other links.
std::string socket_inode(const std::string& link) {
  if (!link.starts_with("socket:[") || !link.ends_with(']')) return "";
  return link.substr(8, link.size() - 9);
}

/// Calls `take(inode)` for each socket of the process; nothing for what may not be looked at.
template <typename Take>
void for_each_socket(const fs::path& process, const Take& take) {
  std::error_code failed;
  for (fs::directory_iterator fd(process / "fd", failed), end; !failed && fd != end;
       fd.increment(failed)) {
    std::error_code gone;
    const std::string inode = socket_inode(fs::read_symlink(fd->path(), gone).string());
    if (!gone && !inode.empty()) take(inode);
  }
}

}  // namespace

std::vector<PortOwner> port_owners(const std::string& host, uint16_t port,
                                   const std::string& root) {
  std::map<std::string, Listening> sockets;
  read_table(root + "/proc/net/tcp", host, port, sockets);
  read_table(root + "/proc/net/tcp6", host, port, sockets);
  std::vector<PortOwner> owners;
  std::error_code failed;
  fs::directory_iterator process(root + "/proc", failed);
  for (; !sockets.empty() && !failed && process != fs::directory_iterator();
       process.increment(failed)) {
    const std::string name = process->path().filename();
    int number = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (bad != std::errc() || end != name.data() + name.size()) continue;
    bool is_told = false;
    for_each_socket(process->path(), [&](const std::string& inode) {
      const auto found = sockets.find(inode);
      if (found == sockets.end()) return;
      if (!is_told) {
        owners.push_back({found->second.address, found->second.user, number,
                          program_of(process->path()), command_of(process->path())});
      }
      is_told = true;
      sockets.erase(found);
    });
  }
  for (const auto& [inode, listening] : sockets) {
    owners.push_back({listening.address, listening.user, 0, "", ""});
  }
  return owners;
}

}  // namespace omg::cli::doctor
