-- HMAC-SHA-256: the test cases of RFC 4231
SELECT encode(journey_hmac(decode(message, 'hex'), decode(key, 'hex')), 'hex') = hmac AS equal
FROM (VALUES
    ('4869205468657265', repeat('0b', 20), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'),
    ('7768617420646f2079612077616e7420666f72206e6f7468696e673f', '4a656665',
     '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'),
    (repeat('dd', 50), repeat('aa', 20), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'),
    (repeat('cd', 50), '0102030405060708090a0b0c0d0e0f10111213141516171819',
     '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b'),
    ('54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374',
     repeat('aa', 131), '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54')) v(message, key, hmac);
SELECT encode(journey_hmac('', 'k'), 'hex') AS of_nothing, journey_hmac(NULL, 'k') AS none, journey_hmac('m', NULL) AS no_key;
SELECT journey_hmac('m', '');
