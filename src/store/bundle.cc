// SPDX-License-Identifier: Apache-2.0
//
// Bundles: models with all their bytes in one tar file, for machines with no network.
//
//   ohmygpu-bundle            "1\n"
//   manifests/<n>.json        as in the store, but all files are blobs with digests
//   blobs/sha256-<hex>        each once
//
// An import knows what an entry is by its exact name and uses no part of it as a path.
#include <filesystem>
#include <map>

#include "base/error.h"
#include "store/manifest.h"
#include "store/store_body.h"
#include "store/tar.h"

namespace omg {
namespace {

constexpr std::string_view kMarkName = "ohmygpu-bundle";
constexpr std::string_view kMark = "1\n";
constexpr std::string_view kManifestFolder = "manifests/";
constexpr std::string_view kBlobFolder = "blobs/";
constexpr size_t kMaxModels = 4096;

std::string absolute_path(const std::string& path) {
  return std::filesystem::absolute(path).lexically_normal().string();
}

/// Writes entries one after the other.
class TarWriter {
 public:
  explicit TarWriter(File& file) : file_(file) {}

  void add(const std::string& name, std::string_view bytes) {
    put(tar_header(name, bytes.size()));
    put(bytes);
    put(tar_padding(bytes.size()));
  }
  /// Copies a file in; its bytes must have the digest.
  void add(const std::string& name, File& from, uint64_t size, const Digest& digest,
           const CancellationToken& cancellation) {
    put(tar_header(name, size));
    if (copy_range(from, 0, size, file_, position_, cancellation).digest != digest) {
      throw Error(ErrorCode::kCorrupt, "cannot export " + name +
                                           ": its bytes are damaged; run 'omg verify', then pull "
                                           "the model again");
    }
    position_ += size;
    put(tar_padding(size));
  }
  void finish() {
    put(tar_end());
    file_.sync();
  }

 private:
  void put(std::string_view bytes) {
    file_.write_at(position_, std::as_bytes(std::span(bytes)));
    position_ += bytes.size();
  }
  File& file_;
  uint64_t position_ = 0;
};

}  // namespace

class Bundler {
 public:
  Bundler(Store& store, Store::Body& body, const CancellationToken& cancellation)
      : store_(store), body_(body), cancellation_(cancellation) {}

  void write(const std::vector<StoreName>& names, const std::string& path) {
    std::vector<UsedModel> models;
    for (const StoreName& name : names) {
      models.push_back(store_.use(name));
      if (!models.back().model().is_built_in()) continue;
      throw Error(ErrorCode::kUnsupported,
                  "'" + name.str() +
                      "' is built into every ohmygpu: there is nothing to export; "
                      "'omg cp " +
                      name.str() + " NAME' makes a model of your own of it");
    }
    const std::string temporary = path + ".part-" + std::to_string(body_.serial());
    try {
      const auto file = body_.files.open(temporary, OpenMode::kCreateNew);
      TarWriter tar(*file);
      tar.add(std::string(kMarkName), kMark);
      write_manifests(tar, models);
      write_blobs(tar);
      tar.finish();
      body_.files.rename(temporary, path);
    } catch (...) {
      try {
        body_.files.remove(temporary);
      } catch (const Error&) {  // the first error is the one to tell
      }
      throw;
    }
    body_.files.sync_folder(folder_of(path));
  }

  std::vector<std::string> read(const std::string& path) {
    const auto file = body_.files.open(path, OpenMode::kRead);
    TarReader tar(*file, path);
    std::vector<StoredModel> models;
    Lease lease;
    bool marked = false;
    while (const auto entry = tar.next()) {
      cancellation_.throw_if_cancelled();
      std::string name = entry->name;
      if (name.starts_with("./")) name.erase(0, 2);  // a bundle that was unpacked and packed again
      if (name == kMarkName) {
        if (text_of(*file, *entry, 64, path) != kMark) {
          throw Error(ErrorCode::kUnsupported,
                      path + " is a bundle of a newer version; update ohmygpu");
        }
        marked = true;
      } else if (name.starts_with(kManifestFolder) && models.size() < kMaxModels) {
        models.push_back(
            manifest_from_json(text_of(*file, *entry, kMaxManifestBytes, path), path + "/" + name));
      } else if (const auto digest = blob_of(name)) {
        read_blob(*file, *entry, *digest, path, lease);
      } else {
        throw Error(ErrorCode::kCorrupt,
                    path + " is no bundle: it has an entry that no bundle has");
      }
    }
    if (!marked) throw Error(ErrorCode::kCorrupt, path + " is no bundle: it has no mark of one");
    std::vector<std::string> names;
    for (StoredModel& model : models) {
      names.push_back(model.name.str());
      for (const Artifact& artifact : model.artifacts) {
        if (artifact.reference) {
          throw Error(ErrorCode::kCorrupt, path + " is no bundle: it refers to files outside");
        }
      }
      take_located(model, lease);
      store_.publish(std::move(model));
    }
    return names;
  }

 private:
  struct Source {
    std::string path;
    uint64_t size;
  };

  void write_manifests(TarWriter& tar, const std::vector<UsedModel>& models) {
    size_t index = 0;
    for (const UsedModel& used : models) {
      StoredModel model = used.model();
      for (size_t i = 0; i < model.artifacts.size(); ++i) {
        Artifact& artifact = model.artifacts[i];
        const std::string& path = used.files()[i].path;
        if (!artifact.digest) {  // the name of an entry stands before its bytes
          const auto file = body_.files.open(path, OpenMode::kRead);
          artifact.digest = hash_file(*file, cancellation_).digest;
        }
        artifact.reference.reset();
        sources_.emplace(*artifact.digest, Source{path, artifact.size});
      }
      tar.add(std::string(kManifestFolder) + std::to_string(index++) + ".json",
              manifest_to_json(model));
    }
  }

  void write_blobs(TarWriter& tar) {
    for (const auto& [digest, source] : sources_) {
      const auto file = body_.files.open(source.path, OpenMode::kRead);
      tar.add(std::string(kBlobFolder) + digest.file_name(), *file, source.size, digest,
              cancellation_);
    }
  }

  static std::optional<Digest> blob_of(const std::string& name) {
    if (!name.starts_with(kBlobFolder)) return std::nullopt;
    const auto digest = Digest::parse(std::string_view(name).substr(kBlobFolder.size()));
    if (!digest || name != std::string(kBlobFolder) + digest->file_name()) return std::nullopt;
    return digest;
  }

  static std::string text_of(File& file, const TarEntry& entry, uint64_t most,
                             const std::string& path) {
    if (entry.size > most) {
      throw Error(ErrorCode::kCorrupt, path + " is no bundle: an entry is too large");
    }
    std::string text(entry.size, '\0');
    text.resize(file.read_at(entry.offset, std::as_writable_bytes(std::span(text))));
    return text;
  }

  void read_blob(File& file, const TarEntry& entry, const Digest& digest, const std::string& path,
                 Lease& lease) {
    if (store_.locate(digest, lease)) return;
    store_.check_space(entry.size);
    auto partial = store_.try_lock_partial(PartialKey("import " + std::to_string(body_.serial())));
    const std::string partial_path = partial->path();
    try {
      PieceStates pieces;
      {
        const auto to = body_.files.open(partial_path, OpenMode::kCreateNew);
        HashedFile copied = copy_range(file, entry.offset, entry.size, *to, 0, cancellation_);
        pieces = std::move(copied.pieces);
        if (copied.digest != digest) {
          throw Error(ErrorCode::kCorrupt, path + " is damaged: " + digest.str() +
                                               " has other bytes; copy the bundle again");
        }
      }
      store_.put_blob(std::move(*partial), digest, entry.size, lease, pieces);
    } catch (...) {
      try {
        body_.files.remove(partial_path);
      } catch (const Error&) {  // gc() does it
      }
      throw;
    }
  }

  /// Files whose bytes are here already may be so by reference.
  void take_located(StoredModel& model, Lease& lease) {
    for (Artifact& artifact : model.artifacts) {
      const auto located = store_.locate(*artifact.digest, lease);
      if (located && located->size == artifact.size) artifact.reference = located->reference;
    }
  }

  Store& store_;
  Store::Body& body_;
  const CancellationToken& cancellation_;
  std::map<Digest, Source> sources_;
};

void Store::export_bundle(const std::vector<StoreName>& names, const std::string& path,
                          const CancellationToken& cancellation) {
  if (names.empty()) throw Error(ErrorCode::kInvalidArgument, "no models to export were named");
  Bundler(*this, *body_, cancellation).write(names, absolute_path(path));
}

std::vector<std::string> Store::import_bundle(const std::string& path,
                                              const CancellationToken& cancellation) {
  return Bundler(*this, *body_, cancellation).read(body_->files.real_path(absolute_path(path)));
}

}  // namespace omg
