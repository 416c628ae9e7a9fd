// ChaCha20 (RFC 8439) for Lanes::kCount ring elements at once: lane l runs the stream of element first + l.
// The keystream needs no transposition: word w of every lane is row w, which is how a chunk lies in memory.

inline void quarter_round(Lanes::Word& a, Lanes::Word& b, Lanes::Word& c, Lanes::Word& d) {
  a = Lanes::add(a, b);
  d = Lanes::rotate_left<16>(Lanes::bit_xor(d, a));
  c = Lanes::add(c, d);
  b = Lanes::rotate_left<12>(Lanes::bit_xor(b, c));
  a = Lanes::add(a, b);
  d = Lanes::rotate_left<8>(Lanes::bit_xor(d, a));
  c = Lanes::add(c, d);
  b = Lanes::rotate_left<7>(Lanes::bit_xor(b, c));
}

// The stream of kCount elements under one key, ready to give blocks. Three of the first round's four quarter
// rounds do not depend on the counter: they are run once, here, which saves 4 % of every block.
struct ChaChaRows {
  uint32_t key[8];
  Lanes::Word element;
  Lanes::Word second[4];  // columns 1 to 3 after their first quarter round
  uint32_t third[4];
  uint32_t fourth[4];

  ChaChaRows(const uint32_t stream_key[8], Lanes::Word first_elements) : element(first_elements) {
    for (size_t i = 0; i < 8; ++i) key[i] = stream_key[i];
    second[0] = Lanes::broadcast(kChaChaConstants[1]);
    second[1] = Lanes::broadcast(key[1]);
    second[2] = Lanes::broadcast(key[5]);
    second[3] = element;
    quarter_round(second[0], second[1], second[2], second[3]);
    // Columns 2 and 3 are alike in every lane.
    public_column(kChaChaConstants[2], key[2], key[6], third);
    public_column(kChaChaConstants[3], key[3], key[7], fourth);
  }
  ~ChaChaRows() { wipe(this, sizeof *this); }
  ChaChaRows(const ChaChaRows&) = delete;
  ChaChaRows& operator=(const ChaChaRows&) = delete;

 private:
  static void public_column(uint32_t a, uint32_t b, uint32_t c, uint32_t out[4]) {
    uint32_t d = 0;
    tensorguard::quarter_round(a, b, c, d);
    out[0] = a;
    out[1] = b;
    out[2] = c;
    out[3] = d;
  }
};

inline void diagonal_round(Lanes::Word x[kBlockWords]) {
  quarter_round(x[0], x[5], x[10], x[15]);
  quarter_round(x[1], x[6], x[11], x[12]);
  quarter_round(x[2], x[7], x[8], x[13]);
  quarter_round(x[3], x[4], x[9], x[14]);
}

// Keystream words 16 * counter ... 16 * counter + 15 of each lane; x[w] holds word w of every lane.
inline void chacha20_rows(const ChaChaRows& stream, uint32_t counter, Lanes::Word x[kBlockWords]) {
  x[0] = Lanes::broadcast(kChaChaConstants[0]);
  x[4] = Lanes::broadcast(stream.key[0]);
  x[8] = Lanes::broadcast(stream.key[4]);
  x[12] = Lanes::broadcast(counter);
  quarter_round(x[0], x[4], x[8], x[12]);
  for (size_t i = 0; i < 4; ++i) {
    x[4 * i + 1] = stream.second[i];
    x[4 * i + 2] = Lanes::broadcast(stream.third[i]);
    x[4 * i + 3] = Lanes::broadcast(stream.fourth[i]);
  }
  diagonal_round(x);
  for (int round = 1; round < 10; ++round) {
    quarter_round(x[0], x[4], x[8], x[12]);
    quarter_round(x[1], x[5], x[9], x[13]);
    quarter_round(x[2], x[6], x[10], x[14]);
    quarter_round(x[3], x[7], x[11], x[15]);
    diagonal_round(x);
  }
  for (size_t i = 0; i < 4; ++i) x[i] = Lanes::add(x[i], Lanes::broadcast(kChaChaConstants[i]));
  for (size_t i = 0; i < 8; ++i) x[4 + i] = Lanes::add(x[4 + i], Lanes::broadcast(stream.key[i]));
  x[12] = Lanes::add(x[12], Lanes::broadcast(counter));
  x[13] = Lanes::add(x[13], stream.element);
}
