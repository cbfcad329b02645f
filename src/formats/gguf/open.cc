// SPDX-License-Identifier: Apache-2.0
//
// From a path to a model: maps one file, or all parts of a split model. The parts are named
// "<prefix>-00001-of-00003.gguf"; each holds some of the tensors and says its place in "split.no"
// (from 0), the first one holds the metadata. Source: llama.cpp's gguf-split.
#include <cstdio>
#include <unordered_set>

#include "base/error.h"
#include "formats/gguf/format.h"
#include "formats/gguf/reader.h"

namespace omg::gguf {
namespace {

[[noreturn]] void fail(ErrorCode code, const std::string& path, const std::string& why) {
  throw Error(code, "cannot read " + path + ": " + why);
}

/// "-00002-of-00003.gguf" for part 2 of 3.
std::string part_suffix(uint32_t number, uint32_t count) {
  char text[40];
  std::snprintf(text, sizeof(text), "-%05u-of-%05u.gguf", number, count);
  return text;
}

/// A metadata error that names the file as well as the key.
template <typename Get>
auto with_path(const std::string& path, Get get) {
  try {
    return get();
  } catch (const Error& error) {
    fail(error.code(), path, error.what());
  }
}

struct Part {
  MappedFile file;
  Header header;
  uint32_t number = 0;  // from 0
  uint32_t count = 1;
};

Part read_part(MappedFile file) {
  const std::string path = file.path();
  Header header = parse(file.bytes(), path);
  Part part{std::move(file), std::move(header)};
  const Metadata& metadata = part.header.metadata;
  with_path(path, [&] {
    part.count = metadata.find_u32(kSplitCountKey).value_or(1);
    part.number = metadata.find_u32(kSplitNumberKey).value_or(0);
    return 0;
  });
  if (part.count == 0) part.count = 1;  // written so by some tools for a whole file
  if (part.count > kMaxParts) {
    fail(ErrorCode::kLimitExceeded, path,
         "key 'split.count' says " + std::to_string(part.count) + " parts; the limit is " +
             std::to_string(kMaxParts));
  }
  if (part.number >= part.count) {
    fail(ErrorCode::kCorrupt, path,
         "key 'split.no' is " + std::to_string(part.number) + " of " + std::to_string(part.count) +
             " parts");
  }
  return part;
}

/// What stands before "-00002-of-00003.gguf" in the name of a part.
std::string split_prefix(const std::string& path, const Part& part) {
  const std::string suffix = part_suffix(part.number + 1, part.count);
  if (!path.ends_with(suffix)) {
    fail(ErrorCode::kCorrupt, path,
         "it is part " + std::to_string(part.number + 1) + " of " + std::to_string(part.count) +
             " of a split model, so its name must end in '" + suffix +
             "' for the other parts to be found");
  }
  return path.substr(0, path.size() - suffix.size());
}

std::vector<Part> read_all_parts(MappedFile file) {
  const std::string path = file.path();
  std::vector<Part> parts;
  parts.push_back(read_part(std::move(file)));
  const uint32_t count = parts.front().count;
  if (count == 1) return parts;
  const uint32_t named = parts.front().number;
  const std::string prefix = split_prefix(path, parts.front());
  std::vector<Part> all;
  for (uint32_t i = 0; i < count; ++i) {
    if (i == named) {
      all.push_back(std::move(parts.front()));
      continue;
    }
    const std::string other = prefix + part_suffix(i + 1, count);
    try {
      all.push_back(read_part(MappedFile::open(other)));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) throw;
      fail(ErrorCode::kNotFound, path,
           "part " + std::to_string(i + 1) + " of " + std::to_string(count) +
               " is missing: " + other + " does not exist; all parts must stand in one folder");
    }
    if (all.back().number != i || all.back().count != count) {
      fail(ErrorCode::kCorrupt, other,
           "it says that it is part " + std::to_string(all.back().number + 1) + " of " +
               std::to_string(all.back().count) + ", against its name");
    }
  }
  return all;
}

}  // namespace

ModelFile open(const std::string& path) {
  return open(MappedFile::open(path));
}

ModelFile open(MappedFile file) {
  const std::string path = file.path();
  std::vector<Part> parts = read_all_parts(std::move(file));
  Metadata metadata = std::move(parts.front().header.metadata);
  std::vector<MappedFile> files;
  std::vector<TensorView> tensors;
  std::unordered_set<std::string_view> names;
  for (uint32_t i = 0; i < parts.size(); ++i) {
    for (auto& tensor : parts[i].header.tensors) {
      if (!names.insert(tensor.name).second) {
        fail(ErrorCode::kCorrupt, parts[i].file.path(),
             "tensor '" + std::string(tensor.name) + "' is in an earlier part as well");
      }
      tensor.file_index = i;
      tensors.push_back(tensor);
    }
    files.push_back(std::move(parts[i].file));
  }
  if (tensors.size() > kMaxTensors) {
    fail(ErrorCode::kLimitExceeded, path,
         "its parts have " + std::to_string(tensors.size()) + " tensors; the limit is " +
             std::to_string(kMaxTensors));
  }
  const auto declared = with_path(path, [&] { return metadata.find_u64(kSplitTensorsKey); });
  if (files.size() > 1 && declared && *declared != tensors.size()) {
    fail(ErrorCode::kCorrupt, path,
         "key 'split.tensors.count' says " + std::to_string(*declared) +
             " tensors and its parts have " + std::to_string(tensors.size()));
  }
  // From here on nobody needs to know that there were parts, least of all who writes a copy.
  for (const auto key : {kSplitNumberKey, kSplitCountKey, kSplitTensorsKey}) metadata.erase(key);
  return ModelFile(std::move(files), std::move(metadata), std::move(tensors));
}

}  // namespace omg::gguf
