// SPDX-License-Identifier: Apache-2.0
//
// Short names for models that many want. The table is data (catalog.toml, built in), and a file of
// the user's adds to it and overrides it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hub/model_name.h"

namespace omg {

struct CatalogEntry {
  std::string alias;   // "llama3.2:1b"
  std::string model;   // "lmstudio-community/Llama-3.2-1B-Instruct-GGUF"; never an alias again
  std::string family;  // "Llama"
  std::string maker;   // "Meta"; "" if not said
  /// Bytes to download, of the quantisation that is taken where none is named; 0 if not said.
  uint64_t download_bytes = 0;
  bool is_users = false;
};

class Catalog {
 public:
  /// The table that came with the program.
  static Catalog built_in();
  /// That and the user's file, where there is one.
  static Catalog load(const std::string& user_file = default_user_file());
  /// $XDG_CONFIG_HOME/ohmygpu/catalog.toml, by default under ~/.config; "" without a home.
  static std::string default_user_file();

  /// Adds the entries of a TOML text; those of the same alias are replaced. `source` is named in
  /// errors. Throws Error(kInvalidArgument) with the line for what is no catalogue, and leaves the
  /// catalogue as it was.
  void add(std::string_view toml, const std::string& source, bool is_users);

  const std::vector<CatalogEntry>& entries() const { return entries_; }
  /// Nothing if there is none. No tag and the tag "latest" are the same.
  const CatalogEntry* find(const AliasName& alias) const;
  /// As find(), but throws Error(kNotFound) with near names.
  const CatalogEntry& require(const AliasName& alias) const;

 private:
  std::vector<CatalogEntry> entries_;
};

}  // namespace omg
