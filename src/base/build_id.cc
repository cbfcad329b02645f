// SPDX-License-Identifier: Apache-2.0
#include "base/build_id.h"

#include <cstdint>
#include <cstring>
#include <gnu/libc-version.h>
#include <link.h>
#include <sys/stat.h>

namespace omg {
namespace {

std::string hex(const unsigned char* bytes, size_t size) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

constexpr size_t padded(size_t size) {
  return (size + 3) / 4 * 4;
}

/// The id among the notes of one segment; "" if it is not there.
std::string id_of_notes(const unsigned char* notes, size_t size) {
  while (size >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, notes, sizeof head);
    const size_t content = sizeof head + padded(head.n_namesz);
    if (content > size || head.n_descsz > size - content) return "";
    const bool is_gnu = head.n_namesz == 4 && std::memcmp(notes + sizeof head, "GNU", 4) == 0;
    if (is_gnu && head.n_type == NT_GNU_BUILD_ID) return hex(notes + content, head.n_descsz);
    const size_t whole = content + padded(head.n_descsz);
    if (whole >= size) return "";
    notes += whole;
    size -= whole;
  }
  return "";
}

/// The first object that is named is the program.
int look_at_program(dl_phdr_info* info, size_t, void* result) {
  for (uint16_t i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const auto* notes = reinterpret_cast<const unsigned char*>(info->dlpi_addr + segment.p_vaddr);
    const std::string id = id_of_notes(notes, segment.p_memsz);
    if (!id.empty()) *static_cast<std::string*>(result) = id;
  }
  return 1;
}

}  // namespace

std::string build_id() {
  std::string id;
  ::dl_iterate_phdr(look_at_program, &id);
  if (id.empty()) {
    struct stat status = {};
    ::stat("/proc/self/exe", &status);
    id = std::string(OMG_VERSION) + " " + std::to_string(status.st_size) + " " +
         std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
  }
  return id + " glibc " + ::gnu_get_libc_version();
}

}  // namespace omg
