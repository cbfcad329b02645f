// SPDX-License-Identifier: Apache-2.0
//
// The state of OutputParser. Text waits in one buffer; each step looks at it from the cursor on and
// either moves the cursor or says that it needs more. A step decides by what it must see, never by
// how much happens to be there: so cuts do not matter.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tools/json_scanner.h"
#include "text/tools/marker.h"
#include "text/tools/output_parser.h"
#include "text/tools/values.h"

namespace omg {

class OutputParser::Impl {
 public:
  Impl(const ToolFormat& format, const OutputParserOptions& options);
  void feed(std::string_view text, OutputEvents& events);
  void finish(OutputEvents& events);

 private:
  enum class State {
    kStart,  // nothing but white space since the answer, or a part of it, began
    kContent,
    kReasoning,
    kAfterCall,  // behind a call, or where a section of calls was opened
    // From here on, inside something that may be a call:
    kHead,
    kJsonCalls,
    kArguments,
    kPairs,
    kPairKey,
    kPairFlag,
    kPairValue,
    kLoose,
    kTags,
    kPython,
    kHeader,  // of a harmony message
  };
  enum class Action {
    kReasoningBegin,
    kReasoningEnd,
    kContentBegin,
    kContentEnd,
    kSection,
    kHead,
    kCloser,
    kHeader,
    kMessageEnd
  };

  /// Markers with what they mean.
  struct Markers {
    std::vector<std::string> texts;
    std::vector<Action> actions;
    std::vector<size_t> heads;  // for kHead: which one
    MarkerSet set;

    void add(const std::string& text, Action action, size_t head = 0);
    void build() { set = MarkerSet(texts); }
  };

  /// A call's head, cut at the places of name and id.
  struct Head {
    struct Part {
      char kind = 0;  // kNameMark, kIdMark, or 0 for the text
      std::string text;
    };
    std::vector<Part> parts;
  };

  /// Value of level_ when a call's object has just been closed.
  static constexpr size_t kCallIsDone = static_cast<size_t>(-1);

  /// Room for any head: what a step looks at must be in view.
  static constexpr size_t kLeastCallBytes = 4096;

  void set_up_markers();
  void set_up_harmony();
  bool content_begins_like_call() const;
  void add_triggers(Markers& markers, bool only_control = false) const;
  void run();
  bool step();
  bool step_in_call();
  bool in_call() const { return state_ >= State::kHead; }

  // Outside of calls.
  bool step_start();
  bool step_text();
  bool step_after_call();
  void clear_call();
  bool act(const Markers& markers, const MarkerSet::Found& found);
  void enter_head(size_t head);
  void enter_payload();
  void begin_message(bool drop_space);

  // Inside.
  bool step_head();
  bool step_json_calls();
  bool on_json_call(char byte);
  bool on_json_object_begin();
  bool on_json_key_end();
  bool on_json_string_end();
  bool on_json_container_end();
  bool is_arguments_key() const;
  void show_json_arguments();
  void end_json_call();
  bool step_arguments();
  bool step_pairs();
  bool step_pair_key();
  bool step_pair_flag();
  bool step_pair_value();
  bool ends_value(size_t after, bool& needs_more) const;
  void add_pair(std::string_view raw);
  bool step_loose();
  bool step_tags();
  bool step_python();
  bool scan_brackets(std::string_view quote);
  bool step_header();

  /// What steps inside a call may see: no more than max_call_bytes of it.
  std::string_view view() const;
  size_t skip_space(size_t from);
  /// The call turns out to be none: its text up to `fail` is content.
  bool abandon(size_t fail);

  void begin_call(std::string name, std::string id);
  void add_arguments(std::string_view text);
  void end_call(std::string id = "");
  void show(OutputEvent::Kind kind, size_t from, size_t to);
  void show_text(OutputEvent::Kind kind, std::string_view text);
  void compact();

  const ToolFormat format_;
  const OutputParserOptions options_;
  const ToolSchemas schemas_;
  const bool parse_calls_;
  const size_t max_call_bytes_;
  Markers start_, content_, reasoning_, after_call_, closers_;
  MarkerSet value_end_, key_end_, key_begin_, tags_end_, message_;
  std::vector<Head> heads_;
  bool has_bare_json_ = false;

  std::string buffer_;
  size_t at_ = 0;                           // cursor: all before it is done with
  size_t raw_start_ = 0;                    // where the text of the present call begins
  size_t scan_ = 0;                         // how far a search inside a call has come
  size_t token_ = 0;                        // where the present string or value begins
  size_t virtual_ = 0;                      // what the prompt gave, which is not shown
  size_t space_begin_ = 0, space_end_ = 0;  // white space that skip_space() has seen
  bool final_ = false;
  OutputEvents* events_ = nullptr;

  State state_ = State::kStart;
  State text_state_ = State::kContent;  // where abandoned text goes
  bool drop_space_ = false;             // white space at the cursor belongs to the format
  bool section_is_new_ = false;
  bool closed_ = false;  // a closing marker followed the last call
  size_t head_ = 0, part_ = 0;

  // The present call.
  bool begun_ = false;
  size_t calls_ = 0;
  std::string name_, id_;
  // kJsonCalls and kArguments
  JsonScanner scanner_;
  bool is_array_ = false, is_bare_ = false, found_call_ = false;
  size_t level_ = 0;            // depth inside the call's object; 0 outside of one
  size_t wrappers_ = 0;         // {"function": {…}} opened
  size_t arguments_depth_ = 0;  // depth inside the arguments; 0 outside of them
  std::string key_;
  bool has_name_ = false, has_arguments_ = false;
  std::string early_arguments_;  // those that came before the name
  // kPairs
  size_t pairs_ = 0;
  bool value_is_string_ = false;
  // kLoose, kPython
  size_t depth_ = 0;
  std::string open_quote_;
  bool in_list_ = false;
  size_t calls_in_list_ = 0;
};

}  // namespace omg
