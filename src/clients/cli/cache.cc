// SPDX-License-Identifier: Apache-2.0
//
// `omg cache`: what models take on the disk and in the system's page cache.
#include <algorithm>
#include <fcntl.h>
#include <fmt/format.h>
#include <set>
#include <unistd.h>

#include "base/error.h"
#include "clients/cli/arguments.h"
#include "clients/cli/command.h"
#include "clients/cli/daemon_settings.h"
#include "clients/cli/format.h"
#include "clients/cli/hub_parts.h"
#include "clients/cli/interrupt.h"
#include "clients/cli/open_store.h"
#include "clients/cli/progress_bar.h"
#include "clients/cli/table.h"
#include "daemon/jobs/installed.h"
#include "daemon/lifecycle/prefix_files.h"

namespace omg::cli {
namespace {

/// A file opened for reading, closed at the end.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw system_error("cannot open " + path, errno);
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

/// Bytes on the disk, each file once however many models need it.
struct Usage {
  uint64_t named = 0;       // as if no two models shared anything
  uint64_t own = 0;         // in the store
  uint64_t referenced = 0;  // in other tools' folders
};

Usage usage_of(const StoreListing& listing) {
  Usage usage;
  std::set<std::string> seen;
  for (const ListedModel& listed : listing.models) {
    for (const Artifact& artifact : listed.model.artifacts) {
      usage.named += artifact.size;
      const std::string bytes =
          artifact.reference ? artifact.reference->path : artifact.digest->str();
      if (!seen.insert(bytes).second) continue;
      (artifact.reference ? usage.referenced : usage.own) += artifact.size;
    }
  }
  return usage;
}

class CacheCommand : public Command {
 public:
  void define(Arguments& arguments) override {
    arguments
        .positional("ACTION", action_, "list, stats, clear, delete, max, preload, evict or forget")
        .required();
    arguments.positional("NAME", names_, "Models, for delete, preload and evict; a size, for max");
    arguments.flag("-y,--yes", yes_, "Do it, for clear and max");
    arguments.flag("--json", json_, "Print JSON");
    arguments.footer(
        "  list              models by size\n"
        "  stats             what they take on the disk\n"
        "  clear             delete all models\n"
        "  delete NAME...    delete these ('omg rm')\n"
        "  max SIZE          delete models until the rest takes at most that, such as 50G: those\n"
        "                    first that were not used for longest\n"
        "  preload NAME...   read them into memory, so that they load at once\n"
        "  evict NAME...     let the system use that memory for something else\n"
        "  forget            delete what is kept of prompts and answers ('prefix_cache_disk')");
  }

  void run(Terminal& terminal) override {
    if (action_ == "list") return list(terminal);
    if (action_ == "stats") return stats(terminal);
    if (action_ == "clear") return clear(terminal);
    if (action_ == "delete") return remove(names_, terminal);
    if (action_ == "max") return shrink(terminal);
    if (action_ == "preload") return for_files(terminal, preload);
    if (action_ == "evict") return for_files(terminal, evict);
    if (action_ == "forget") return forget(terminal);
    throw Error(ErrorCode::kUsage,
                "there is no 'omg cache " + printable(action_) + "'; see 'omg cache --help'");
  }

 private:
  void list(Terminal& terminal) const {
    StoreListing listing = open_store().list();
    std::stable_sort(listing.models.begin(), listing.models.end(),
                     [](const ListedModel& a, const ListedModel& b) {
                       return a.model.total_bytes() > b.model.total_bytes();
                     });
    Table table({{"NAME"}, {"SIZE", Align::kRight}, {"USED"}, {"WHERE"}});
    json::array array;
    for (const ListedModel& listed : listing.models) {
      const auto& artifacts = listed.model.artifacts;
      const auto foreign = std::find_if(artifacts.begin(), artifacts.end(),
                                        [](const Artifact& a) { return a.reference.has_value(); });
      const std::string where =
          foreign == artifacts.end() ? "store" : std::string(owner_name(foreign->reference->owner));
      table.add_row({printable(listed.model.name.str()), format_bytes(listed.model.total_bytes()),
                     format_age(listed.last_used), where});
      array.push_back(model_to_json(listed));
    }
    terminal.out(json_ ? json::serialize(array) + "\n" : table.to_string(terminal));
  }

  void stats(Terminal& terminal) const {
    Store store = open_store();
    const StoreListing listing = store.list();
    const Usage usage = usage_of(listing);
    GcOptions unneeded;
    unneeded.dry_run = true;
    const uint64_t garbage = store.gc(unneeded).freed_bytes;
    RealFileSystem files;
    const uint64_t free = files.free_bytes(store.folder());
    const std::string prefixes = prefix_folder(load_settings());
    uint64_t prefix_bytes = 0;
    for (const PrefixFile& file : list_prefix_files(files, prefixes)) prefix_bytes += file.bytes;
    const uint64_t shared = usage.named - usage.own - usage.referenced;
    if (json_) {
      return terminal.out(json::serialize(json::object{{"folder", store.folder()},
                                                       {"models", listing.models.size()},
                                                       {"own_bytes", usage.own},
                                                       {"referenced_bytes", usage.referenced},
                                                       {"shared_bytes", shared},
                                                       {"unneeded_bytes", garbage},
                                                       {"prefix_bytes", prefix_bytes},
                                                       {"free_bytes", free}}) +
                          "\n");
    }
    Sections sections;
    sections.begin("Store");
    sections.add("folder", printable(store.folder()));
    sections.add("models", std::to_string(listing.models.size()));
    sections.add("own files", format_bytes(usage.own));
    sections.add("other tools' files", format_bytes(usage.referenced) + ", used where they are");
    sections.add("saved by sharing", format_bytes(shared));
    sections.add("no longer needed",
                 format_bytes(garbage) + (garbage ? "; 'omg gc' frees it" : ""));
    sections.add("free on the disk", format_bytes(free));
    if (prefix_bytes > 0) {
      sections.add("of prompts and answers", format_bytes(prefix_bytes) + " in " +
                                                 printable(prefixes) + "; see 'omg cache forget'");
    }
    terminal.out(sections.to_string(terminal));
  }

  static void forget(Terminal& terminal) {
    RealFileSystem files;
    const ForgottenPrefixes gone = forget_prefix_files(files, prefix_folder(load_settings()));
    terminal.note(fmt::format(
        "{} freed{}", format_bytes(gone.bytes),
        gone.in_use > 0
            ? fmt::format("; {} of loaded models more, once they are unloaded", gone.in_use)
            : ""));
  }

  void clear(Terminal& terminal) const {
    Store store = open_store();
    std::vector<std::string> names;
    for (const ListedModel& listed : store.list().models) names.push_back(listed.model.name.str());
    if (!yes_) {
      throw Error(ErrorCode::kUsage,
                  fmt::format("this deletes all {} models; say 'omg cache clear --yes' to do it",
                              names.size()));
    }
    remove(names, terminal);
  }

  void remove(const std::vector<std::string>& names, Terminal& terminal) const {
    if (names.empty() && action_ == "delete") throw_no_names();
    Store store = open_store();
    for (const std::string& name : names) {
      const StoreName found = require_only_installed(store, name);
      store.remove(found);
      terminal.note(fmt::format("deleted '{}'", printable(found.str())));
    }
    terminal.note(format_bytes(store.gc().freed_bytes) + " freed");
  }

  /// Files of other tools do not count: deleting a model that refers to them frees nothing.
  void shrink(Terminal& terminal) const {
    if (names_.size() != 1) {
      throw Error(ErrorCode::kUsage, "'omg cache max' needs a size, such as 50G");
    }
    const uint64_t most = parse_bytes(names_.front(), "omg cache max");
    StoreListing listing = open_store().list();
    const auto last_needed = [](const ListedModel& listed) {
      return std::max(listed.last_used.value_or(0), listed.model.installed_at);
    };
    std::stable_sort(listing.models.begin(), listing.models.end(),
                     [&](const ListedModel& a, const ListedModel& b) {
                       return last_needed(a) > last_needed(b);
                     });
    std::vector<std::string> names;
    while (usage_of(listing).own > most) {  // from the end, so that what they share counts once
      names.push_back(listing.models.back().model.name.str());
      listing.models.pop_back();
    }
    if (names.empty()) {
      return terminal.note(
          fmt::format("models take {}: nothing to delete", format_bytes(usage_of(listing).own)));
    }
    if (yes_) return remove(names, terminal);
    for (const std::string& name : names) terminal.out(printable(name) + "\n");
    throw Error(ErrorCode::kUsage,
                fmt::format("these {} models would be deleted; say --yes to do it", names.size()));
  }

  [[noreturn]] void throw_no_names() const {
    throw Error(ErrorCode::kUsage, "'omg cache " + action_ + "' needs the name of a model");
  }

  void for_files(Terminal& terminal,
                 void (*act)(const UsedFile&, ProgressBar&, const CancellationToken&)) const {
    if (names_.empty()) throw_no_names();
    const CancellationToken cancellation;
    const InterruptGuard guard(cancellation, /*second_kills=*/true);
    Store store = open_store();
    for (const std::string& name : names_) {
      const UsedModel used = store.use(require_installed(store, name));
      ProgressBar bar(terminal);
      for (const UsedFile& file : used.files()) {
        if (!file.artifact.is_in_program()) act(file, bar, cancellation);
      }
      bar.clear();
      terminal.note(fmt::format("{} '{}', {}", action_ == "preload" ? "read" : "let go of",
                                printable(used.model().name.str()),
                                format_bytes(used.model().total_bytes())));
    }
  }

  static void preload(const UsedFile& file, ProgressBar& bar,
                      const CancellationToken& cancellation) {
    const OpenFile open(file.path);
    std::vector<char> buffer(4u << 20);
    for (uint64_t done = 0;;) {
      cancellation.throw_if_cancelled();
      const ssize_t got = ::read(open.descriptor(), buffer.data(), buffer.size());
      if (got < 0) throw system_error("cannot read " + file.path, errno);
      if (got == 0) return;
      done += static_cast<uint64_t>(got);
      bar.show("reading", done, file.artifact.size);
    }
  }

  static void evict(const UsedFile& file, ProgressBar&, const CancellationToken&) {
    const OpenFile open(file.path);
    const int failure = ::posix_fadvise(open.descriptor(), 0, 0, POSIX_FADV_DONTNEED);
    if (failure != 0) throw system_error("cannot let go of " + file.path, failure);
  }

  std::string action_;
  std::vector<std::string> names_;
  bool yes_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cache_command() {
  return std::make_unique<CacheCommand>();
}

}  // namespace omg::cli
