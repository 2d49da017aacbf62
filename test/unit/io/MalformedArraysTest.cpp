//===- MalformedArraysTest.cpp - Arrays that must be refused --------------===//
//
// Part of MoeCompiler, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A table of malformed .npy and .npz files, each with the words that its error
// must hold. Every case ends with IoError (exit code 7) and the file's name.
//
//===----------------------------------------------------------------------===//

#include "Scratch.h"

#include "runtime/io/Npy.h"
#include "runtime/io/Npz.h"
#include "runtime/io/Zip.h"

#include <zlib.h>

using namespace moe;
using moe::test::ScratchTest;
using moe::zip::store;

namespace {

struct Malformed {
  const char *name;
  std::string bytes;
  const char *error;
};

void PrintTo(const Malformed &test, std::ostream *out) { *out << test.name; }

std::string npy(const std::string &header, size_t dataBytes) {
  std::string bytes = std::string("\x93NUMPY\x01\x00", 8);
  store(bytes, header.size(), 2);
  return bytes + header + std::string(dataBytes, '\0');
}

std::string npyOf(const std::string &descr, const std::string &shape,
                  size_t dataBytes, const std::string &order = "False") {
  return npy("{'descr': '" + descr + "', 'fortran_order': " + order +
                 ", 'shape': " + shape + ", }\n",
             dataBytes);
}

/// A zip archive whose every field can be wrong.
struct Archive {
  struct Member {
    std::string name = "x.npy";
    std::string data = npyOf("<f4", "(2,)", 8);
    uint64_t flags = 0, method = zip::kStored;
    int64_t bytes = -1, storedBytes = -1, offset = -1, crc = -1;
    std::string localName, extra;
  };
  std::vector<Member> members = {Member()};
  int64_t count = -1, directoryOffset = -1, directoryBytes = -1;

  std::string text() const {
    std::string file, directory;
    for (const Member &member : members) {
      int64_t crc = member.crc;
      if (crc < 0)
        crc = crc32_z(0, reinterpret_cast<const Bytef *>(member.data.data()),
                      member.data.size());
      std::string common;
      store(common, 20, 2);
      store(common, member.flags, 2);
      store(common, member.method, 2);
      store(common, 0, 4);
      store(common, crc, 4);
      store(common, or_(member.storedBytes, member.data.size()), 4);
      store(common, or_(member.bytes, member.data.size()), 4);
      std::string local =
          member.localName.empty() ? member.name : member.localName;
      uint64_t offset = or_(member.offset, file.size());
      store(file, zip::kLocalSignature, 4);
      file += common;
      store(file, local.size(), 2);
      store(file, 0, 2);
      file += local + member.data;
      store(directory, zip::kCentralSignature, 4);
      store(directory, 20, 2);
      directory += common;
      store(directory, member.name.size(), 2);
      store(directory, member.extra.size(), 2);
      directory.append(10, '\0');
      store(directory, offset, 4);
      directory += member.name + member.extra;
    }
    std::string end;
    store(end, zip::kEndSignature, 4);
    store(end, 0, 4);
    store(end, or_(count, members.size()), 2);
    store(end, or_(count, members.size()), 2);
    store(end, or_(directoryBytes, directory.size()), 4);
    store(end, or_(directoryOffset, file.size()), 4);
    store(end, 0, 2);
    return file + directory + end;
  }

private:
  static uint64_t or_(int64_t value, uint64_t otherwise) {
    return value < 0 ? otherwise : static_cast<uint64_t>(value);
  }
};

std::string archive(void (*change)(Archive &)) {
  Archive archive;
  change(archive);
  return archive.text();
}

std::string archiveOf(void (*change)(Archive::Member &)) {
  Archive archive;
  change(archive.members[0]);
  return archive.text();
}

std::vector<Malformed> malformedNpy() {
  return {
      {"Empty", "", "cut off"},
      {"NoMagic", std::string(200, 'x'), "magic"},
      {"Version9", std::string("\x93NUMPY\x09\x00\x10\x00", 10), "version 9.0"},
      {"HeaderLengthBeyondFile", std::string("\x93NUMPY\x01\x00\xff\xff", 10),
       "cut off"},
      {"HeaderLengthBeyondLimit",
       std::string("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12),
       "4294967295 bytes"},
      {"NotADictionary", npy("[1, 2]\n", 0), "expected '{'"},
      {"NoEnd", npy("{'descr': '<f4'", 0), "expected '}'"},
      {"UnknownKey", npy("{'x': 1}\n", 0), "unknown or repeated"},
      {"RepeatedKey", npy("{'shape': (1,), 'shape': (1,)}\n", 0),
       "unknown or repeated"},
      {"MissingKey", npy("{'descr': '<f4', 'shape': (1,)}\n", 4),
       "'fortran_order' is missing"},
      {"NoQuote", npy("{'descr: 1}\n", 0), "expected a string"},
      {"Escape", npy("{'de\\x73cr': '<f4'}\n", 0), "without escapes"},
      {"TrailingCode",
       npy("{'descr': '<f4', 'fortran_order': False, 'shape': ()} + f()\n", 4),
       "after the header"},
      {"Call", npy("{'descr': __import__('os')}\n", 0), "expected a string"},
      {"Objects", npyOf("|O", "(1,)", 8), "Python objects"},
      {"BigEndian", npyOf(">f4", "(1,)", 4), "big endian"},
      {"Structured",
       npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': "
           "(1,)}\n",
           4),
       "expected a string"},
      {"Unicode", npyOf("<U4", "(1,)", 16), "is not supported"},
      {"Complex", npyOf("<c8", "(1,)", 8), "is not supported"},
      {"Void", npyOf("|V2", "(1,)", 2), "bfloat16 stands as <f4"},
      {"OrderIsNumber", npyOf("<f4", "(1,)", 4, "0"), "True or False"},
      {"ShapeIsNumber", npyOf("<f4", "(1)", 4), "not a tuple"},
      {"ShapeIsList", npyOf("<f4", "[1]", 4), "expected '('"},
      {"NegativeSize", npyOf("<f4", "(-1,)", 4), "expected a size"},
      {"SizeBeyond64Bits", npyOf("<f4", "(9223372036854775808,)", 4),
       "expected a size"},
      {"HexSize", npyOf("<f4", "(0x4,)", 4), "expected ','"},
      {"ProductOverflows", npyOf("<f4", "(4294967296, 4294967296)", 0),
       "more than 2^64"},
      {"OverflowHiddenByZero",
       npyOf("<f4", "(4294967296, 4294967296, 4294967296, 0)", 0),
       "more than 2^64"},
      {"TooManyDimensions", npyOf("<f4", "(1,1,1,1,1,1,1,1,1)", 4),
       "more than 8 dimensions"},
      {"HugeShapeSmallFile", npyOf("<f4", "(1000000000000,)", 4),
       "needs 4000000000000 bytes, found 4"},
      {"DataTooShort", npyOf("<f4", "(2,)", 7), "needs 8 bytes, found 7"},
      {"DataTooLong", npyOf("<f4", "(2,)", 9), "needs 8 bytes, found 9"},
      {"BoolIsTwo", npyOf("|b1", "(1,)", 0) + "\x02", "expected 0 or 1"},
  };
}

std::string deflated(const std::string &data) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef *>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// A deflated member with a directory that tells the truth, changed by
/// `change`.
std::string deflatedArchive(void (*change)(Archive::Member &)) {
  Archive archive;
  Archive::Member &member = archive.members[0];
  std::string data = member.data;
  member.method = zip::kDeflated;
  member.bytes = static_cast<int64_t>(data.size());
  member.crc =
      crc32_z(0, reinterpret_cast<const Bytef *>(data.data()), data.size());
  member.data = deflated(data);
  change(member);
  return archive.text();
}

std::vector<Malformed> malformedNpz() {
  using Member = Archive::Member;
  return {
      {"Empty", "", "no zip directory"},
      {"NotAZip", std::string(5000, 'P'), "no zip directory"},
      {"PickleInside", archiveOf([](Member &m) { m.name = "data.pkl"; }),
       "not an .npy array"},
      {"NameIsNotUtf8", archiveOf([](Member &m) { m.name = "\xff.npy"; }),
       "not UTF-8"},
      {"NameHasNul",
       archiveOf([](Member &m) { m.name = std::string("a\0.npy", 6); }),
       "not UTF-8"},
      {"Encrypted", archiveOf([](Member &m) { m.flags = 1; }), "encrypted"},
      {"Lzma", archiveOf([](Member &m) { m.method = 14; }), "method 14"},
      {"Zstandard", archiveOf([](Member &m) { m.method = 93; }), "method 93"},
      {"WrongChecksum", archiveOf([](Member &m) { m.crc = 1; }), "checksum"},
      {"StoredSizesDiffer", archiveOf([](Member &m) { m.bytes = 1; }),
       "is stored with"},
      {"OffsetBeyondFile", archiveOf([](Member &m) { m.offset = 1 << 30; }),
       "overlaps"},
      {"OffsetInsideData", archiveOf([](Member &m) { m.offset = 8; }),
       "overlaps"},
      {"SizeBeyondFile",
       archiveOf([](Member &m) { m.bytes = m.storedBytes = 1 << 30; }),
       "overlaps"},
      {"NamesDiffer", archiveOf([](Member &m) { m.localName = "y.npy"; }),
       "another name"},
      {"Zip64WithoutExtra",
       archiveOf([](Member &m) { m.bytes = m.storedBytes = 0xffffffff; }),
       "zip64 sizes are missing"},
      {"Zip64ExtraTooShort", archiveOf([](Member &m) {
         m.bytes = m.storedBytes = 0xffffffff;
         m.extra = std::string("\1\0\10\0aaaaaaaa", 12);
       }),
       "zip64 sizes are missing"},
      {"Zip64ExtraHuge", archiveOf([](Member &m) {
         m.bytes = m.storedBytes = 0xffffffff;
         m.extra = std::string("\1\0\20\0", 4) + std::string(16, '\xff');
       }),
       "overlaps"},
      {"SameNameTwice",
       archive([](Archive &a) { a.members.push_back(a.members[0]); }),
       "appears twice"},
      {"SharedBytes", archive([](Archive &a) {
         a.members.push_back(a.members[0]);
         a.members[1].name = "y.npy";
         a.members[1].offset = 0;
       }),
       "overlaps"},
      {"MoreRowsThanCounted", archive([](Archive &a) { a.count = 0; }),
       "more rows"},
      {"FewerRowsThanCounted", archive([](Archive &a) { a.count = 2; }),
       "cut off"},
      {"TooManyMembers", archive([](Archive &a) { a.count = 20000; }),
       "20000 arrays"},
      {"DirectoryBeyondFile",
       archive([](Archive &a) { a.directoryOffset = 0x7fffffff; }),
       "outside of the file"},
      {"DirectoryTooLong",
       archive([](Archive &a) { a.directoryBytes = 0x7fffffff; }),
       "outside of the file"},
      {"DirectoryElsewhere", archive([](Archive &a) { a.directoryOffset = 0; }),
       "cut off"},
      {"DeflatedGarbage", deflatedArchive([](Member &m) {
         m.data = std::string(m.data.size(), '\xff');
       }),
       "corrupt"},
      {"DeflatedEndsEarly",
       deflatedArchive([](Member &m) { m.data = deflated("x"); }),
       "end too early"},
      {"DeflatedIsLonger", deflatedArchive([](Member &m) {
         m.data = deflated(Member().data + "more");
       }),
       "longer than the directory says"},
      {"DeflatedHasTail", deflatedArchive([](Member &m) { m.data += "tail"; }),
       "longer than the directory says"},
      {"Bomb", deflatedArchive([](Member &m) { m.bytes = 0xfffffffe; }),
       "numpy.savez"},
      {"BadHeaderInside", archiveOf([](Member &m) { m.data = "no array"; }),
       "array 'x': "},
  };
}

class MalformedFiles : public ScratchTest,
                       public testing::WithParamInterface<Malformed> {
protected:
  void expectRefused(const Status &status, const std::string &path) {
    EXPECT_EQ(status.code(), StatusCode::IoError);
    EXPECT_TRUE(status.message().starts_with(path)) << status.message();
    EXPECT_EQ(status.message().find(path, 1), std::string::npos)
        << status.message();
    EXPECT_NE(status.message().find(GetParam().error), std::string::npos)
        << status.message();
  }
};
class MalformedNpyTest : public MalformedFiles {};
class MalformedNpzTest : public MalformedFiles {};
class ArchiveTest : public ScratchTest {};

std::string nameOf(const testing::TestParamInfo<Malformed> &info) {
  return info.param.name;
}

} // namespace

TEST_P(MalformedNpyTest, IsRefused) {
  std::string path = write("bad.npy", GetParam().bytes);
  expectRefused(readNpyFile(path).status(), path);
}

TEST_P(MalformedNpzTest, IsRefused) {
  std::string path = write("bad.npz", GetParam().bytes);
  expectRefused(readNpz(path).status(), path);
}

INSTANTIATE_TEST_SUITE_P(Table, MalformedNpyTest,
                         testing::ValuesIn(malformedNpy()), nameOf);
INSTANTIATE_TEST_SUITE_P(Table, MalformedNpzTest,
                         testing::ValuesIn(malformedNpz()), nameOf);

TEST_F(ArchiveTest, TheUnchangedArchivesAreGood) {
  for (const std::string &bytes :
       {archive([](Archive &) {}), deflatedArchive([](Archive::Member &) {})}) {
    StatusOr<std::vector<HostTensor>> read = readNpz(write("good.npz", bytes));
    EXPECT_TRUE(read.isOk()) << read.status().message();
  }
}
