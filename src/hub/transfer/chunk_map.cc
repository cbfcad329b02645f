// SPDX-License-Identifier: Apache-2.0
//
// The order of writes is what this file is about. A header is trusted if its digest is right; bytes
// after it are single and cannot be torn. Granules of an earlier boot are forgotten before the
// header says that it is of this boot.
#include "hub/transfer/chunk_map.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/digest.h"
#include "base/error.h"

namespace omg {
namespace {

constexpr std::string_view kMagic = "OMGPART1";
constexpr size_t kBootBytes = 40;
constexpr size_t kCheckedBytes = 8 + 8 + 8 + Digest::kBytes + kBootBytes;
constexpr size_t kHeaderBytes = kCheckedBytes + Digest::kBytes;
static_assert(kHeaderBytes == 128);

constexpr std::byte kMissing{0};
constexpr std::byte kWritten{1};
constexpr std::byte kSynced{2};

void append_number(std::string& text, uint64_t value) {
  for (int i = 0; i < 8; ++i) text.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

uint64_t number_at(std::string_view text, size_t offset) {
  uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(text[offset + static_cast<size_t>(i)]);
  }
  return value;
}

void append_digest(std::string& text, const Digest& digest) {
  for (const uint8_t byte : digest.bytes()) text.push_back(static_cast<char>(byte));
}

std::string make_header(const ChunkMapKey& key, const std::string& boot_id) {
  std::string header(kMagic);
  append_number(header, key.granule);
  append_number(header, key.size);
  append_digest(header, sha256(key.identity));
  std::string boot = boot_id.substr(0, kBootBytes);
  boot.resize(kBootBytes, '\0');
  header += boot;
  append_digest(header, sha256(header));
  return header;
}

bool is_header(std::string_view header) {
  if (header.size() != kHeaderBytes || !header.starts_with(kMagic)) return false;
  std::string right(header.substr(0, kCheckedBytes));
  append_digest(right, sha256(right));
  return right == header;
}

uint64_t granules_of(uint64_t size, uint64_t granule) {
  return size / granule + (size % granule != 0);
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string read_header(File& file) {
  std::string header(kHeaderBytes, '\0');
  header.resize(file.read_at(0, std::as_writable_bytes(std::span(header))));
  return header;
}

}  // namespace

ChunkMap::ChunkMap(FileSystem& files, const std::string& partial, const ChunkMapKey& key,
                   const std::string& boot_id) {
  const uint64_t granules = granules_of(key.size, key.granule);
  if (granules > kMaxGranules) {
    throw Error(ErrorCode::kLimitExceeded,
                "cannot download a file of " + std::to_string(key.size) +
                    " bytes: at most 4 TiB are supported; check what the server says");
  }
  done_.assign(granules, false);
  const std::string header = make_header(key, boot_id);
  const auto there = files.info(partial);
  if (there && there->is_file() && there->size == key.size && files.info(path_for(partial))) {
    data_ = files.open(partial, OpenMode::kReadWrite);
    map_ = files.open(path_for(partial), OpenMode::kReadWrite);
    if (load(header, key, boot_id)) return;
    map_.reset();
    data_.reset();
  }
  done_.assign(granules, false);
  start_anew(files, partial, header);
}

bool ChunkMap::load(const std::string& header, const ChunkMapKey& key, const std::string& boot_id) {
  const std::string found = read_header(*map_);
  constexpr size_t kBootOffset = kCheckedBytes - kBootBytes;
  if (!is_header(found) || found.substr(0, kBootOffset) != header.substr(0, kBootOffset)) {
    return false;
  }
  std::vector<std::byte> states(granules_of(key.size, key.granule), kMissing);
  if (map_->read_at(kHeaderBytes, states) != states.size()) return false;
  const bool same_boot = !boot_id.empty() && found == header;
  for (size_t i = 0; i < states.size(); ++i) {
    if (states[i] == kWritten && !same_boot) states[i] = kMissing;
    done_[i] = states[i] == kWritten || states[i] == kSynced;
  }
  if (!same_boot) {
    map_->write_at(kHeaderBytes, states);
    map_->sync();
    map_->write_at(0, bytes_of(header));
  }
  return true;
}

void ChunkMap::start_anew(FileSystem& files, const std::string& partial,
                          const std::string& header) {
  remove(files, partial);
  data_ = files.open(partial, OpenMode::kCreateNew);
  data_->resize(header.empty() ? 0 : number_at(header, 16));
  data_->sync();  // the size, before anything says that bytes are there
  map_ = files.open(path_for(partial), OpenMode::kCreateNew);
  map_->resize(kHeaderBytes + done_.size());
  map_->write_at(0, bytes_of(header));
  map_->sync();
  files.sync_folder(folder_of(partial));
}

void ChunkMap::mark_written(uint64_t granule) {
  map_->write_at(kHeaderBytes + granule, std::span(&kWritten, 1));
}

void ChunkMap::sync() {
  std::vector<std::byte> states(done_.size(), kMissing);
  map_->read_at(kHeaderBytes, states);
  data_->sync();
  // Only what was marked before the sync; bytes that others mark meanwhile are not touched.
  for (size_t i = 0; i < states.size(); ++i) {
    size_t end = i;
    while (end < states.size() && states[end] == kWritten) states[end++] = kSynced;
    if (end == i) continue;
    map_->write_at(kHeaderBytes + i, std::span(states).subspan(i, end - i));
    i = end;
  }
  map_->sync();
}

std::optional<uint64_t> ChunkMap::peek(FileSystem& files, const std::string& partial) {
  try {
    const auto info = files.info(path_for(partial));
    if (!info || info->size < kHeaderBytes || info->size > kHeaderBytes + kMaxGranules) return {};
    const auto map = files.open(path_for(partial), OpenMode::kRead);
    const std::string header = read_header(*map);
    if (!is_header(header)) return {};
    const uint64_t granule = number_at(header, 8);
    const uint64_t size = number_at(header, 16);
    std::vector<std::byte> states(info->size - kHeaderBytes, kMissing);
    states.resize(map->read_at(kHeaderBytes, states));
    const auto missing = std::count(states.begin(), states.end(), kMissing);
    const uint64_t done = (states.size() - static_cast<uint64_t>(missing)) * granule;
    return std::min(done, size);
  } catch (const Error&) {
    return {};  // it goes when the other process is done
  }
}

void ChunkMap::write(FileSystem& files, const std::string& partial, const ChunkMapKey& key,
                     const std::string& boot_id, const std::vector<bool>& done) {
  files.remove(path_for(partial));
  const auto map = files.open(path_for(partial), OpenMode::kCreateNew);
  std::vector<std::byte> states(done.size(), kMissing);
  for (size_t i = 0; i < done.size(); ++i) {
    if (done[i]) states[i] = kSynced;
  }
  map->write_at(kHeaderBytes, states);
  map->write_at(0, bytes_of(make_header(key, boot_id)));
  map->sync();
  files.sync_folder(folder_of(partial));
}

void ChunkMap::remove(FileSystem& files, const std::string& partial) {
  if (files.remove(path_for(partial))) files.sync_folder(folder_of(partial));
  files.remove(partial);
}

std::string system_boot_id() {
  std::ifstream stream("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(stream, id);
  return id;
}

}  // namespace omg
