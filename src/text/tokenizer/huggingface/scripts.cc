// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/scripts.h"

#include <cctype>

namespace omg::huggingface {
namespace {

// The frequent ones first: they are tried in order. Han, kana and Common are written out below.
constexpr std::string_view kScripts[] = {"Latin",
                                         "Cyrillic",
                                         "Arabic",
                                         "Devanagari",
                                         "Hangul",
                                         "Greek",
                                         "Hebrew",
                                         "Thai",
                                         "Inherited",
                                         "Bengali",
                                         "Tamil",
                                         "Telugu",
                                         "Gujarati",
                                         "Gurmukhi",
                                         "Kannada",
                                         "Malayalam",
                                         "Oriya",
                                         "Sinhala",
                                         "Georgian",
                                         "Armenian",
                                         "Ethiopic",
                                         "Khmer",
                                         "Lao",
                                         "Myanmar",
                                         "Tibetan",
                                         "Mongolian",
                                         "Bopomofo",
                                         "Adlam",
                                         "Ahom",
                                         "Anatolian_Hieroglyphs",
                                         "Avestan",
                                         "Balinese",
                                         "Bamum",
                                         "Bassa_Vah",
                                         "Batak",
                                         "Bhaiksuki",
                                         "Brahmi",
                                         "Braille",
                                         "Buginese",
                                         "Buhid",
                                         "Canadian_Aboriginal",
                                         "Carian",
                                         "Caucasian_Albanian",
                                         "Chakma",
                                         "Cham",
                                         "Cherokee",
                                         "Chorasmian",
                                         "Coptic",
                                         "Cuneiform",
                                         "Cypriot",
                                         "Cypro_Minoan",
                                         "Deseret",
                                         "Dives_Akuru",
                                         "Dogra",
                                         "Duployan",
                                         "Egyptian_Hieroglyphs",
                                         "Elbasan",
                                         "Elymaic",
                                         "Glagolitic",
                                         "Gothic",
                                         "Grantha",
                                         "Gunjala_Gondi",
                                         "Hanifi_Rohingya",
                                         "Hanunoo",
                                         "Hatran",
                                         "Imperial_Aramaic",
                                         "Inscriptional_Pahlavi",
                                         "Inscriptional_Parthian",
                                         "Javanese",
                                         "Kaithi",
                                         "Kayah_Li",
                                         "Kharoshthi",
                                         "Khitan_Small_Script",
                                         "Khojki",
                                         "Khudawadi",
                                         "Lepcha",
                                         "Limbu",
                                         "Linear_A",
                                         "Linear_B",
                                         "Lisu",
                                         "Lycian",
                                         "Lydian",
                                         "Mahajani",
                                         "Makasar",
                                         "Mandaic",
                                         "Manichaean",
                                         "Marchen",
                                         "Masaram_Gondi",
                                         "Medefaidrin",
                                         "Meetei_Mayek",
                                         "Mende_Kikakui",
                                         "Meroitic_Cursive",
                                         "Meroitic_Hieroglyphs",
                                         "Miao",
                                         "Modi",
                                         "Mro",
                                         "Multani",
                                         "Nabataean",
                                         "Nandinagari",
                                         "New_Tai_Lue",
                                         "Newa",
                                         "Nko",
                                         "Nushu",
                                         "Nyiakeng_Puachue_Hmong",
                                         "Ogham",
                                         "Ol_Chiki",
                                         "Old_Hungarian",
                                         "Old_Italic",
                                         "Old_North_Arabian",
                                         "Old_Permic",
                                         "Old_Persian",
                                         "Old_Sogdian",
                                         "Old_South_Arabian",
                                         "Old_Turkic",
                                         "Old_Uyghur",
                                         "Osage",
                                         "Osmanya",
                                         "Pahawh_Hmong",
                                         "Palmyrene",
                                         "Pau_Cin_Hau",
                                         "Phags_Pa",
                                         "Phoenician",
                                         "Psalter_Pahlavi",
                                         "Rejang",
                                         "Runic",
                                         "Samaritan",
                                         "Saurashtra",
                                         "Sharada",
                                         "Shavian",
                                         "Siddham",
                                         "SignWriting",
                                         "Sogdian",
                                         "Sora_Sompeng",
                                         "Soyombo",
                                         "Sundanese",
                                         "Syloti_Nagri",
                                         "Syriac",
                                         "Tagalog",
                                         "Tagbanwa",
                                         "Tai_Le",
                                         "Tai_Tham",
                                         "Tai_Viet",
                                         "Takri",
                                         "Tangsa",
                                         "Tangut",
                                         "Tifinagh",
                                         "Tirhuta",
                                         "Toto",
                                         "Ugaritic",
                                         "Vai",
                                         "Vithkuqi",
                                         "Wancho",
                                         "Warang_Citi",
                                         "Yezidi",
                                         "Yi",
                                         "Zanabazar_Square"};

}  // namespace

bool is_script(std::string_view plain_name) {
  for (const std::string_view known : {"han", "hiragana", "katakana", "common"}) {
    if (plain_name == known) return true;
  }
  for (const std::string_view script : kScripts) {
    std::string plain;
    for (const char c : script) {
      if (c != '_') plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    if (plain == plain_name) return true;
  }
  return false;
}

std::string script_runs_expression() {
  std::string expression =
      R"([^\P{Common}\x{30FC} ](?:[^\P{Common}\x{30FC}]|\p{Unknown})*+)"
      R"(|[\p{Han}\p{Hiragana}\p{Katakana}\x{30FC}][\p{Han}\p{Hiragana}\p{Katakana}\x{30FC} )"
      R"(\p{Unknown}]*+)";
  for (const std::string_view script : kScripts) {
    const std::string property = "\\p{" + std::string(script) + "}";
    expression += "|" + property + "[" + property + R"( \p{Unknown}]*+)";
  }
  return expression;
}

}  // namespace omg::huggingface
