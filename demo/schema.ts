/**
 * The warehouse of the demo: seven tables as a real shop has them. Composite keys, a key that changes (a product's sku),
 * money in DECIMAL, microseconds in DATETIME(6), JSON, ENUM, SET, bits, dates and long text.
 */
export const warehouseTables = {
  products: `CREATE TABLE products (
    sku VARCHAR(20) NOT NULL PRIMARY KEY,
    name VARCHAR(120) NOT NULL,
    category ENUM('tools','fasteners','paint','garden','lighting','safety') NOT NULL,
    labels SET('new','sale','fragile','heavy','eco') NOT NULL DEFAULT '',
    price DECIMAL(10,2) NOT NULL,
    weight_kg DOUBLE NOT NULL,
    attributes JSON NOT NULL,
    barcode BIGINT UNSIGNED NOT NULL,
    active BIT(1) NOT NULL DEFAULT b'1',
    listed_on DATE NOT NULL,
    changed_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    KEY category (category))`,
  warehouses: `CREATE TABLE warehouses (
    warehouse_id SMALLINT UNSIGNED NOT NULL PRIMARY KEY,
    city VARCHAR(60) NOT NULL,
    country CHAR(2) NOT NULL,
    location POINT NOT NULL,
    opens TIME NOT NULL,
    built YEAR NOT NULL)`,
  stock_levels: `CREATE TABLE stock_levels (
    warehouse_id SMALLINT UNSIGNED NOT NULL,
    sku VARCHAR(20) NOT NULL,
    quantity INT NOT NULL,
    reserved INT UNSIGNED NOT NULL DEFAULT 0,
    bin VARCHAR(12) NULL,
    counted_at DATETIME(6) NULL,
    PRIMARY KEY (warehouse_id, sku),
    KEY sku (sku))`,
  customers: `CREATE TABLE customers (
    customer_id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    email VARCHAR(120) NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL,
    city VARCHAR(60) NOT NULL,
    tier ENUM('basic','silver','gold') NOT NULL,
    credit DECIMAL(12,2) NOT NULL,
    preferences JSON NULL,
    notes TEXT NULL,
    created_at DATETIME NOT NULL)`,
  orders: `CREATE TABLE orders (
    order_id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    customer_id INT UNSIGNED NOT NULL,
    warehouse_id SMALLINT UNSIGNED NOT NULL,
    status ENUM('placed','paid','shipped','delivered','returned') NOT NULL,
    total DECIMAL(12,2) NOT NULL,
    placed_at DATETIME(6) NOT NULL,
    shipped_at DATETIME(6) NULL,
    delivery JSON NULL,
    KEY customer_id (customer_id))`,
  order_lines: `CREATE TABLE order_lines (
    order_id BIGINT NOT NULL,
    line_no SMALLINT UNSIGNED NOT NULL,
    sku VARCHAR(20) NOT NULL,
    quantity SMALLINT UNSIGNED NOT NULL,
    unit_price DECIMAL(10,2) NOT NULL,
    discount FLOAT NULL,
    PRIMARY KEY (order_id, line_no))`,
  stock_movements: `CREATE TABLE stock_movements (
    movement_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    warehouse_id SMALLINT UNSIGNED NOT NULL,
    sku VARCHAR(20) NOT NULL,
    reason ENUM('received','picked','moved','counted','lost') NOT NULL,
    delta INT NOT NULL,
    reference VARBINARY(16) NULL,
    moved_at DATETIME(6) NOT NULL)`,
} as const;

export type WarehouseTable = keyof typeof warehouseTables;

export const warehouseTableNames = Object.keys(warehouseTables) as WarehouseTable[];
