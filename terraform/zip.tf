# Reads a local zip at plan time: is there a program named `bootstrap`, is it executable, and which processor is it built for?
#
# Input: `lambda_zip_path`. Output: `local.zip_has_bootstrap`, `local.zip_is_executable` and `local.zip_architecture`; null means
# "unknown". main.tf turns them into messages.
# Invariant: only a zip that is certainly wrong is rejected. Lambda decides about anything that this file cannot read, so each
# step falls back to an empty value (`try`).
#
# Terraform reads a file as base64 and cannot open a zip, and an extra provider for one check costs every user an installation.
# So this file reads the bytes itself, following the ZIP format (APPNOTE.TXT 6.3) and DEFLATE (RFC 1951). HCL has no loop with a
# state, but `regexall` is one: with the codes of a prefix code as alternatives, it cuts a string of bits into those codes.

locals {
  # `try`: a missing zip must not block `destroy`, which evaluates this too.
  zip_base64  = local.is_local ? try(filebase64(var.lambda_artifact.lambda_zip_path), "") : ""
  base64_bits = { for value in range(64) : substr(local.base64_digits, value, 1) => format("%06b", value) }

  # The zip in pieces of 400 base64 digits, 300 bytes. `substr` and `length` take a second on the whole text; `regexall` is fast.
  zip_pieces = regexall("[^=]{1,400}", local.zip_base64)
  zip_count  = length(local.zip_pieces)

  # Parts of the zip as text: a space and two hex digits for each byte. The last two pieces are enough for the directory of a zip with a
  # few entries, and 17 for a few dozen. The program's first bytes are in the 900 that follow its offset.
  zip_tail = join("", [for byte in regexall(".{8}", join("", [
    for digit in split("", join("", slice(local.zip_pieces, max(0, local.zip_count - 2), local.zip_count))) : local.base64_bits[digit] if digit != ""
  ])) : format(" %02x", parseint(byte, 2))])
  zip_before_tail = join("", [for byte in regexall(".{8}", join("", [
    for digit in split("", join("", slice(local.zip_pieces, max(0, local.zip_count - (local.zip_tail_is_enough ? 2 : 17)), max(0, local.zip_count - 2)))) : local.base64_bits[digit] if digit != ""
  ])) : format(" %02x", parseint(byte, 2))])
  zip_directory = "${local.zip_before_tail}${local.zip_tail}"

  zip_first = min(floor(local.zip_offset / 300), local.zip_count)
  zip_program = [for byte in regexall(".{8}", join("", [
    for digit in split("", join("", slice(local.zip_pieces, local.zip_first, min(local.zip_first + 4, local.zip_count)))) : local.base64_bits[digit] if digit != ""
  ])) : parseint(byte, 2)]

  # --- The directory, at the end of the zip --------------------------------------------------------------------------

  # The entry whose name is exactly `bootstrap`: signature PK 1 2, host, method, the length of the name, mode, offset, the name.
  zip_entry = try(regex(
    " 50 4b 01 02 .. (?P<host>..)(?: ..){4} (?P<method>..)(?: ..){17} 09 00(?: ..){10} (?P<mode>..) .. (?P<offset>.. .. .. ..) 62 6f 6f 74 73 74 72 61 70",
    local.zip_directory,
  ), null)

  # The record that ends the directory (signature PK 5 6) says how many bytes the directory has; are they all in view?
  zip_end_pattern    = "^(?P<before>.*) 50 4b 05 06(?: ..){8} (?P<size>.. .. .. ..)"
  zip_tail_end       = try(regex(local.zip_end_pattern, local.zip_tail), null)
  zip_tail_is_enough = try(parseint(join("", reverse(split(" ", local.zip_tail_end.size))), 16) <= length(local.zip_tail_end.before) / 3, false)
  zip_end            = try(regex(local.zip_end_pattern, local.zip_directory), null)
  zip_is_in_view     = try(parseint(join("", reverse(split(" ", local.zip_end.size))), 16) <= length(local.zip_end.before) / 3, false)

  zip_has_bootstrap = local.zip_entry != null ? true : local.zip_is_in_view ? false : null

  # The Unix mode is in the upper half of the external attributes. Lambda runs the program as a user who is neither the owner nor
  # in the group, so the last three bits must be r-x. A zip made on Windows (host 0) has no mode, and its program does not start.
  zip_is_executable = try(
    local.zip_entry.host == "03" ? contains([5, 7], parseint(local.zip_entry.mode, 16) % 8) : local.zip_entry.host == "00" ? false : null,
  null)

  zip_offset = try(parseint(join("", reverse(split(" ", local.zip_entry.offset))), 16), 0)

  # --- The first bytes of the program --------------------------------------------------------------------------------

  # The entry's own header is 30 bytes and two fields of variable length, then comes the data.
  zip_header = try(slice(local.zip_program, local.zip_offset - 300 * local.zip_first, length(local.zip_program)), [])
  zip_data   = try(slice(local.zip_header, 30 + local.zip_header[26] + 256 * (local.zip_header[27] + local.zip_header[29]) + local.zip_header[28], length(local.zip_header)), [])

  # DEFLATE packs from the least significant bit of each byte. The first block's type: 0 stored, 1 fixed codes, 2 dynamic codes.
  deflate_bits = join("", [for byte in local.zip_data : strrev(format("%08b", byte))])
  deflate_type = try(local.zip_entry.method == "08" ? parseint(strrev(substr(local.deflate_bits, 1, 2)), 2) : null, null)

  # --- Dynamic codes: the lengths of the codes are themselves coded --------------------------------------------------

  deflate_sizes   = try({ for name, at in { literals = [3, 5, 257], distances = [8, 5, 1], lengths = [13, 4, 4] } : name => at[2] + parseint(strrev(substr(local.deflate_bits, at[0], at[1])), 2) }, null)
  deflate_order   = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  deflate_lengths = try([for symbol in range(19) : index(local.deflate_order, symbol) < local.deflate_sizes.lengths ? parseint(strrev(substr(local.deflate_bits, 17 + 3 * index(local.deflate_order, symbol), 3)), 2) : 0], [])

  # The canonical code of each symbol: codes of one length are consecutive, and follow those of the shorter ones.
  deflate_length_groups = { for symbol, length in local.deflate_lengths : length => symbol... if length > 0 }
  deflate_length_codes = try(merge([for size, symbols in local.deflate_length_groups : { for rank, symbol in symbols :
    symbol => format("%0${size}b", rank + sum([for k in range(size) : length(try(local.deflate_length_groups[k], [])) * pow(2, size - k)]))
  }]...), {})

  # Symbols 16, 17 and 18 repeat a length, and are followed by 2, 3 or 7 bits that say how often.
  deflate_wanted = try(local.deflate_sizes.literals + local.deflate_sizes.distances, 0)
  deflate_matches = try(regexall(
    join("|", [for symbol, code in local.deflate_length_codes : join("", [code, lookup({ "16" = "..", "17" = "...", "18" = "......." }, symbol, "")])]),
    substr(local.deflate_bits, 17 + 3 * local.deflate_sizes.lengths, -1),
  ), [])
  deflate_tokens  = try([for token in slice(local.deflate_matches, 0, min(length(local.deflate_matches), local.deflate_wanted)) : { bits = token, symbol = tonumber([for symbol, code in local.deflate_length_codes : symbol if startswith(token, code)][0]) }], [])
  deflate_repeats = try([for token in local.deflate_tokens : token.symbol < 16 ? 1 : (token.symbol == 18 ? 11 : 3) + parseint(strrev(substr(token.bits, length(local.deflate_length_codes[token.symbol]), -1)), 2)], [])
  deflate_used    = min(length(local.deflate_tokens), 1 + length([for i in range(length(local.deflate_repeats)) : i if sum(slice(local.deflate_repeats, 0, i + 1)) < local.deflate_wanted]))

  # One letter for each token, so that a regular expression finds the length that symbol 16 (q) repeats.
  deflate_letters = try(join("", [for token in slice(local.deflate_tokens, 0, local.deflate_used) : substr("abcdefghijklmnopqrs", token.symbol, 1)]), "")
  deflate_expanded = try(flatten([for i in range(local.deflate_used) : [
    for _ in range(local.deflate_repeats[i]) : index(split("", "abcdefghijklmnop"), replace(regex("([^q])q*$", substr(local.deflate_letters, 0, i + 1))[0], "/[rs]/", "a"))
  ]]), [])

  # --- The first codes of the data -----------------------------------------------------------------------------------

  # Without codes, there is nothing to decode: without a local zip, a plan must not spend time here.
  deflate_trees = try({
    literals = (local.deflate_type == 2 ? slice(local.deflate_expanded, 0, local.deflate_sizes.literals) :
    local.deflate_type == 1 ? [for symbol in range(288) : symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8] : [])
    distances = (local.deflate_type == 2 ? slice(local.deflate_expanded, local.deflate_sizes.literals, local.deflate_wanted) :
    local.deflate_type == 1 ? [for symbol in range(30) : 5] : [])
  }, { literals = [], distances = [] })
  deflate_groups = { for name, lengths in local.deflate_trees : name => { for symbol, length in lengths : length => symbol... if length > 0 } }
  deflate_firsts = { for name, groups in local.deflate_groups : name => { for size, _ in groups :
    size => sum([for k in range(size) : length(try(groups[k], [])) * pow(2, size - k)])
  } }
  deflate_codes = try({ for name, groups in local.deflate_groups : name => merge([for size, symbols in groups : { for rank, symbol in symbols :
    symbol => format("%0${size}b", rank + local.deflate_firsts[name][size])
  }]...) }, { literals = {}, distances = {} })
  deflate_distance = join("|", [for symbol, code in local.deflate_codes.distances : "${code}.{${max(0, floor(symbol / 2) - 1)}}"])
  deflate_data     = try(substr(local.deflate_bits, local.deflate_type == 1 ? 3 : 17 + 3 * local.deflate_sizes.lengths + sum([for token in slice(local.deflate_tokens, 0, local.deflate_used) : length(token.bits)]), 600), "")
  deflate_codes_found = try(regexall(join("|", [for symbol, code in local.deflate_codes.literals :
    symbol <= 256 ? code : "${code}.{${symbol < 265 || symbol == 285 ? 0 : floor((symbol - 261) / 4)}}(?:${local.deflate_distance})"
  ]), local.deflate_data), [])
  deflate_symbols = try([for bits in slice(local.deflate_codes_found, 0, min(20, length(local.deflate_codes_found))) : tonumber([for symbol, code in local.deflate_codes.literals : symbol if startswith(bits, code)][0])], [])

  # Symbols up to 255 are one byte, 257 to 264 are 3 to 10 repeated bytes; a longer run does not occur within an ELF header's first
  # 20 bytes. The processor is byte 18, after the padding that makes up the run.
  deflate_positions = try([for i, symbol in local.deflate_symbols : sum(concat([0], [for earlier in slice(local.deflate_symbols, 0, i) : earlier < 256 ? 1 : earlier - 254]))], [])
  program_start = try(
    local.zip_entry.method == "00" ? concat(slice(local.zip_data, 0, 4), [local.zip_data[18]])
    : local.deflate_type == 0 ? concat(slice(local.zip_data, 5, 9), [local.zip_data[23]])
    : concat(slice(local.deflate_symbols, 0, 4), [for i, symbol in local.deflate_symbols : symbol if local.deflate_positions[i] == 18]),
  [])

  # An ELF file starts with 0x7F, "ELF"; its e_machine is 183 for arm64 and 62 for x86_64. A script has no architecture.
  zip_architecture = try(lookup({ "127,69,76,70,183" = "arm64", "127,69,76,70,62" = "x86_64" }, join(",", local.program_start), null), null)
}
