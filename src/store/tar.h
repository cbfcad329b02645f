// SPDX-License-Identifier: Apache-2.0
//
// Plain tar files (POSIX ustar, with pax records for sizes of 8 GiB and more) as far as bundles
// need them: regular files, one after the other. Written here, and not by libarchive, because a
// bundle needs one kind of entry out of dozens of formats, filters and kinds: the reader below is
// all that a hostile bundle meets, and it follows no links, makes no paths and sets no modes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file_system.h"

namespace omg {

inline constexpr uint64_t kTarBlock = 512;

/// Appends the header of a regular file (mode 0644) of `size` bytes; its bytes, padded with zeros
/// to whole blocks, must follow. `name` has at most 100 bytes of ASCII.
std::string tar_header(const std::string& name, uint64_t size);
/// Zeros after `size` bytes up to the next block.
std::string tar_padding(uint64_t size);
/// What ends an archive.
std::string tar_end();

struct TarEntry {
  std::string name;     // as written: not to be used as a path
  uint64_t offset = 0;  // of its bytes in the file
  uint64_t size = 0;
};

/// Goes over the entries of an archive. Every offset is checked against the file's size.
class TarReader {
 public:
  /// `what` names the file in errors; `file` must outlive this.
  TarReader(File& file, std::string what);

  /// The next regular file; nothing at the end. Folders are passed over. Error(kCorrupt) for
  /// damaged headers, entries that reach beyond the file, an archive without its end, and links,
  /// devices and other kinds, which no bundle has.
  std::optional<TarEntry> next();

 private:
  [[noreturn]] void fail(const std::string& why) const;
  std::optional<uint64_t> read_pax_size(uint64_t offset, uint64_t size) const;

  File& file_;
  std::string what_;
  uint64_t file_size_;
  uint64_t position_ = 0;
};

}  // namespace omg
